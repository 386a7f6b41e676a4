"""Several processes of a command: their number is kept, they end together, nothing outlives them."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from stixlab.services.crew import Crew
from tests.support.processes import living, wait_for

NOTE = "import os, sys, time; open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close(); "


def members(folder):
    return [int(p.name) for p in folder.iterdir() if living(int(p.name))]


def crew(folder, code, number=2, **how):
    return Crew(
        [sys.executable, "-c", NOTE + code, str(folder)], number, env=dict(os.environ), grace_s=2, **how
    )


@pytest.fixture
def running(tmp_path):
    """A crew of two at work in a thread, and what stops it."""
    stop, ended = threading.Event(), []
    made = crew(tmp_path, "time.sleep(60)")
    thread = threading.Thread(target=lambda: ended.append(made.run(stop.is_set)))
    thread.start()
    wait_for(lambda: len(members(tmp_path)) == 2, "two processes")
    yield stop, ended, thread
    stop.set()
    thread.join(20)


def test_one_that_dies_is_started_again(tmp_path, running):
    (first, _) = members(tmp_path)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(members(tmp_path)) == 2 and first not in members(tmp_path), "another one")


def test_told_to_end_they_all_end(tmp_path, running):
    stop, ended, thread = running
    stop.set()
    thread.join(20)
    assert ended == [0]
    assert members(tmp_path) == []


def test_one_that_does_not_heed_is_killed_and_counted(tmp_path):
    stop, ended = threading.Event(), []
    made = crew(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", 1)
    thread = threading.Thread(target=lambda: ended.append(made.run(stop.is_set)))
    thread.start()
    wait_for(lambda: members(tmp_path), "the process")
    time.sleep(0.3)
    stop.set()
    thread.join(30)
    assert ended == [1]
    assert members(tmp_path) == []


def test_those_that_are_done_are_not_started_again(tmp_path):
    assert crew(tmp_path, "pass", until_done=True).run(lambda: False) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_one_that_fails_is_tried_again_until_it_is_done(tmp_path):
    code = "sys.exit(len(os.listdir(sys.argv[1])) < 3)"
    assert crew(tmp_path, code, 1, until_done=True).run(lambda: False) == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_outlives_a_killed_keeper(tmp_path):
    code = (
        "import os, sys; from stixlab.services.crew import Crew; "
        "Crew([sys.executable, '-c', sys.argv[2], sys.argv[1]], 2, env=dict(os.environ)).run(lambda: False)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), NOTE + "time.sleep(60)"]) as keeper:
        wait_for(lambda: len(members(tmp_path)) == 2, "two processes")
        keeper.kill()
        keeper.wait()
        wait_for(lambda: not members(tmp_path), "both to end")

"""The supervisor, with small parts made of Python lines."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from stixlab.errors import ConflictError, ServiceError
from stixlab.services import Part, Supervisor, read_state, stop
from stixlab.services.health import read_health
from stixlab.services.logs import last_lines, open_log
from tests.support.processes import living, wait_for

pytestmark = pytest.mark.slow

SLEEPER = "import time; print('hello', flush=True); time.sleep(60)"
POLITE = """
import signal, sys, time
def end(*_):
    with open(sys.argv[2], 'a') as stream:
        stream.write(sys.argv[1] + '\\n')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[3], 'w').close()
time.sleep(60)
"""
STUBBORN_FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
with open(sys.argv[1] + ".new", "w") as stream:
    stream.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""
UP = """
import sys
from pathlib import Path
from stixlab.services import Part, Supervisor
home = Path(sys.argv[1])
part = Part("family", (sys.executable, "-S", "-c", sys.argv[2], str(home / "pids")), {}, lambda: (home / "pids").exists(), stop_timeout_s=0.3)
Supervisor([part], home, lambda e: print(e, flush=True), url="http://127.0.0.1:1").run(lambda: print("all ready", flush=True))
print("ended", flush=True)
"""


def part(name, code, *arguments, **options):
    options = {"ready_timeout_s": 10.0, "stop_timeout_s": 2.0} | options
    return Part(
        name, (sys.executable, "-S", "-c", code, *map(str, arguments)), options.pop("env", {}), **options
    )


def children(home):
    return psutil.Process(read_state(home).parts[0].pid).children()


class Up:
    """A supervisor in a thread."""

    def __init__(self, parts, home):
        self.events = []
        self.supervisor = Supervisor(parts, home, self.events.append, url="http://x", backoff_s=(0.1, 0.4))
        self.ready = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.supervisor.run(self.ready.set)
        except Exception as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.ready.is_set() or self.error, "all ready")
        return self

    def __exit__(self, *_):
        self.supervisor.request_stop()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def told(self, name):
        return [e.what for e in self.events if e.part == name]


def test_parts_start_in_order_and_stop_in_the_reverse(tmp_path):
    order = tmp_path / "order"
    parts = [
        part(name, POLITE, name, order, tmp_path / name, ready=(tmp_path / name).exists)
        for name in ("one", "two")
    ]
    with Up(parts, tmp_path) as up:
        assert [(e.part, e.what) for e in up.events] == [
            ("one", "starting"),
            ("one", "ready"),
            ("two", "starting"),
            ("two", "ready"),
        ]
        state = read_state(tmp_path)
        assert (state.pid, state.url) == (os.getpid(), "http://x")
        assert [(p.name, p.state) for p in state.parts] == [("one", "ready"), ("two", "ready")]
        assert all(living(p.pid) for p in state.parts)
    assert up.error is None
    assert order.read_text().split() == ["two", "one"]
    assert not any(living(p.pid) for p in state.parts)
    written = [json.loads(line) for line in (tmp_path / "log" / "events.jsonl").read_text().splitlines()]
    assert [(e["part"], e["what"]) for e in written] == [(e.part, e.what) for e in up.events]


def test_a_part_that_dies_is_told_and_started_again(tmp_path):
    with Up([part("sleeper", SLEEPER)], tmp_path) as up:
        for restarts in (1, 2):
            (child,) = wait_for(lambda: children(tmp_path), "child")
            wait_for(lambda: "hello" in last_lines(tmp_path / "log" / "sleeper.log"), "hello")
            child.kill()
            wait_for(lambda n=restarts: up.told("sleeper").count("ready") > n, "ready again")
            state = read_state(tmp_path).parts[0]
            assert (state.restarts, state.state, state.last_exit) == (restarts, "ready", "ended by SIGKILL")
        assert up.told("sleeper")[:5] == ["starting", "ready", "died", "starting", "ready"]
        (died, _) = (e for e in up.events if e.what == "died")
        assert "SIGKILL" in died.detail
        assert "it said last: hello" in died.detail


def test_a_part_that_keeps_dying_is_started_at_growing_intervals(tmp_path):
    with Up(
        [part("brief", "import time; time.sleep(0.05); print('oh no'); raise SystemExit(3)")], tmp_path
    ) as up:
        wait_for(lambda: up.told("brief").count("died") >= 4, "four deaths")
        pauses = [e.detail.split("again in ")[1].split(" s")[0] for e in up.events if e.what == "died"]
    assert pauses[:4] == ["0.1", "0.2", "0.4", "0.4"]
    assert "status 3" in next(e.detail for e in up.events if e.what == "died")


def test_what_a_dead_part_left_behind_is_ended_before_it_starts_again(tmp_path):
    """A killed hub leaves its proxy and services; they would hold the ports of the next one."""
    pids = tmp_path / "pids"
    with Up([part("family", STUBBORN_FAMILY, pids, ready=pids.exists, stop_timeout_s=0.2)], tmp_path) as up:
        main, orphan = map(int, pids.read_text().split())
        pids.unlink()
        os.kill(main, signal.SIGKILL)
        wait_for(pids.exists, "started again", 20)
        assert not living(orphan)
        everyone = list(map(int, pids.read_text().split()))
    assert up.error is None
    assert not any(living(pid) for pid in everyone)


def test_what_a_killed_guardian_left_is_ended_before_the_part_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr("stixlab.services.state._POLITE_S", 0.3)
    pids = tmp_path / "pids"
    with Up([part("family", STUBBORN_FAMILY, pids, ready=pids.exists, stop_timeout_s=0.2)], tmp_path):
        former = list(map(int, pids.read_text().split()))
        pids.unlink()
        os.kill(read_state(tmp_path).parts[0].pid, signal.SIGKILL)
        wait_for(pids.exists, "started again", 20)
        assert not any(living(pid) for pid in former)


@pytest.mark.parametrize(
    ("code", "ready", "message"),
    [
        (
            SLEEPER,
            lambda: False,
            r"sleeper: not ready after 1 s \(its own check says no\)(.|\n)*ends:\nhello",
        ),
        (SLEEPER, "http://127.0.0.1:9/", r"not ready after 1 s \(no answer from http://127\.0\.0\.1:9/\)"),
        (SLEEPER, 9, r"not ready after 1 s \(nobody listens on port 9\)"),
        (
            "print('no port left'); raise SystemExit(4)",
            lambda: False,
            r"ended with status 4 before(.|\n)*no port left",
        ),
    ],
)
def test_a_part_that_does_not_get_ready_ends_all_with_its_last_words(tmp_path, code, ready, message):
    parts = [part("first", SLEEPER), part("sleeper", code, ready=ready, ready_timeout_s=1.0)]
    supervisor = Supervisor(parts, tmp_path)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ServiceError, match=message):
        supervisor.run()
    state = json.loads((tmp_path / "run" / "up.json").read_text())
    assert [p["pid"] for p in state["parts"]] == [0, 0]
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_command_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ServiceError, match=r"status 127(.|\n)*no-such-program: cannot be started"):
        Supervisor([Part("none", ("no-such-program",), {}, lambda: False)], tmp_path).run()


def test_ready_by_port_and_by_url(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "import http.server, sys\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()"
    )
    answering = part("web", code, port, ready=port)
    asked = part("asked", SLEEPER, ready=f"http://127.0.0.1:{port}/", ready_timeout_s=0.5)
    with Up([answering, asked], tmp_path) as up:
        assert up.error is not None  # status 501 is no answer of a service that is ready
        assert "no answer" in str(up.error)


def test_the_environment_is_asked_for_at_each_start(tmp_path):
    numbers = iter(range(10))
    code = f"import os, time; print('number', os.environ['NUMBER'], flush=True); {SLEEPER}"
    with Up([part("counter", code, env=lambda: {"NUMBER": str(next(numbers))})], tmp_path) as up:
        (child,) = wait_for(lambda: children(tmp_path), "child")
        wait_for(lambda: "number 0" in last_lines(tmp_path / "log" / "counter.log"), "first")
        child.kill()
        wait_for(lambda: up.told("counter").count("ready") == 2, "again")
        wait_for(lambda: "number 1" in last_lines(tmp_path / "log" / "counter.log"), "second")


def test_a_second_supervisor_is_told_who_the_first_is(tmp_path):
    with Up([part("sleeper", SLEEPER)], tmp_path):
        with pytest.raises(
            ConflictError, match=rf"process {os.getpid()} at http://x.*stixlab down"
        ) as caught:
            Supervisor([], tmp_path).run()
        assert caught.value.pid == os.getpid()
        assert read_state(tmp_path).parts[0].name == "sleeper"


class TestAsAProcess:
    @pytest.fixture
    def process(self, tmp_path):
        command = [sys.executable, "-c", UP, str(tmp_path), STUBBORN_FAMILY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            wait_for(lambda: process.stdout.readline().strip() == "all ready", "all ready")
            yield process
            process.kill()

    def family(self, home):
        return list(map(int, (home / "pids").read_text().split()))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_everything(self, process, tmp_path, number):
        family = self.family(tmp_path)
        process.send_signal(number)
        assert process.wait(15) == 0
        assert process.stdout.read().splitlines()[-1] == "ended"
        assert not any(living(pid) for pid in family)
        assert read_state(tmp_path) is None

    def test_down_ends_everything_and_is_content_when_nothing_runs(self, process, tmp_path):
        family = self.family(tmp_path)
        waiting = threading.Thread(target=process.wait)
        waiting.start()
        assert stop(tmp_path, 15)
        assert not any(living(pid) for pid in [process.pid, *family])
        assert not stop(tmp_path, 15)
        waiting.join(5)

    def test_killing_the_supervisor_leaves_nothing(self, process, tmp_path):
        family = self.family(tmp_path)
        guardian = read_state(tmp_path).parts[0].pid
        process.kill()
        process.wait()
        for pid in (guardian, *family):
            wait_for(lambda p=pid: not living(p), "ended with its supervisor")

    def test_killing_supervisor_and_guardian_leaves_work_for_the_next_start(
        self, process, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("stixlab.services.state._POLITE_S", 0.3)
        family = self.family(tmp_path)
        for pid in (process.pid, read_state(tmp_path).parts[0].pid):
            psutil.Process(pid).suspend()  # so that neither sees the other end
        for pid in (read_state(tmp_path).parts[0].pid, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        assert all(living(pid) for pid in family)
        with Up([part("sleeper", SLEEPER)], tmp_path) as up:
            assert up.told("") == ["leftovers"]
            assert not any(living(pid) for pid in family)

    def test_memory_and_disk_are_told_by_part(self, process, tmp_path):
        health = read_health(tmp_path)
        assert health.running
        assert health.url == "http://127.0.0.1:1"
        (one,) = health.parts
        assert (one.name, one.state, one.n_processes) == ("family", "ready", 3)
        assert 5e6 < one.rss_bytes < health.rss_bytes < 500e6
        assert 0 < health.disk_free_bytes <= health.disk_total_bytes
        assert health.as_document()["parts"][0]["name"] == "family"


def test_health_of_a_home_where_nothing_runs(tmp_path):
    health = read_health(tmp_path / "none" / "yet")
    assert not health.running
    assert health.parts == ()
    assert health.disk_free_bytes > 0


def test_a_large_log_is_set_aside_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("a" * 100)
    os.close(open_log(path, max_bytes=50))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "x.log.1").stat().st_size == 100
    path.write_text("one\nmongodb://me:word@host/db\n")
    assert last_lines(path, 1) == "mongodb://***@host/db"

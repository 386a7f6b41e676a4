"""The process of a kernel, spoken to without papermill."""

from __future__ import annotations

import subprocess
import sys

import pytest
import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from stixlab.pipeline.kernel import KernelSetup

LONG_S = 100
SHOWN = 6000


@pytest.fixture
def slow_client(tmp_path):
    """A client of a fresh kernel that holds one unread message of what is shown; the others stay with the kernel."""
    connection, setup = tmp_path / "kernel.json", tmp_path / "setup.json"
    write_connection_file(str(connection), transport="ipc", ip=str(tmp_path / "k"), key=b"trial")
    setup.write_text(KernelSetup(str(tmp_path)).as_line(), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "stixlab.pipeline.kernel", str(connection), str(setup)]
    with zmq.Context() as context:
        context.setsockopt(zmq.RCVHWM, 1)
        client = BlockingKernelClient(connection_file=str(connection), context=context)
        client.load_connection_file()
        with subprocess.Popen(command) as process:
            client.start_channels()
            try:
                client.wait_for_ready(LONG_S)
                yield client
            finally:
                client.stop_channels()
                process.kill()


def test_nothing_that_is_shown_is_dropped_while_the_reader_is_busy(slow_client):
    """By default the kernel itself drops what comes after a thousand messages."""
    asked = slow_client.execute(f"for n in range({SHOWN}):\n    display(n)")
    # Until it is ready a kernel is asked again and again whether it is: answers to that may come first.
    while (reply := slow_client.get_shell_msg(LONG_S))["parent_header"].get("msg_id") != asked:
        assert reply["msg_type"] == "kernel_info_reply"
    assert reply["content"]["status"] == "ok"
    shown = []
    while True:
        message = slow_client.get_iopub_msg(LONG_S)
        content = message["content"]
        if message["msg_type"] == "display_data":
            shown.append(int(content["data"]["text/plain"]))
        elif message["parent_header"].get("msg_id") == asked and content.get("execution_state") == "idle":
            break
    assert shown == list(range(SHOWN))

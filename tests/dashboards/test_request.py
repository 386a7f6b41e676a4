"""How the kernel of an app learns what its visitor asked for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stixlab.dashboards.request import REQUEST_VARIABLE, is_public_app, query_string
from stixlab.errors import ServiceError


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"query": f"asked={self.path}"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/apps/request"
        server.shutdown()
        thread.join()


def test_in_a_notebook_there_is_no_query(monkeypatch):
    monkeypatch.delenv(REQUEST_VARIABLE, raising=False)
    monkeypatch.delenv("QUERY_STRING", raising=False)
    assert (query_string(), is_public_app()) == ("", False)


def test_voila_in_the_server_of_a_member_brings_the_query_along(monkeypatch):
    monkeypatch.delenv(REQUEST_VARIABLE, raising=False)
    monkeypatch.setenv("QUERY_STRING", "ssid=30")
    assert (query_string(), is_public_app()) == ("ssid=30", False)


def test_a_kernel_asks_the_server_of_the_apps(monkeypatch, server):
    monkeypatch.setenv(REQUEST_VARIABLE, server)
    monkeypatch.setenv("VOILA_KERNEL_ID", "abc")
    assert (query_string(), is_public_app()) == ("asked=/apps/request/abc", True)


@pytest.mark.parametrize(
    "address", ["http://example.org/request", "file:///etc/passwd", "http://127.0.0.1:9/request"]
)
def test_no_other_machine_is_asked_and_a_server_that_left_is_said_to_have_left(monkeypatch, address):
    monkeypatch.setenv(REQUEST_VARIABLE, address)
    with pytest.raises(ServiceError, match=r"expected an address on this machine|went away"):
        query_string()

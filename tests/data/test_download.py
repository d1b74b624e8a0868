import http.server
import socket
import threading
import time

import pytest

from dsbench.data.torchvision_sets import ANSWER_SECONDS, fetch


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def silent_host():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


def quiet(message, fraction):
    pass


def test_host_that_does_not_answer_costs_no_more_than_the_time_it_is_given(silent_host, tmp_path):
    start = time.monotonic()
    with pytest.raises(OSError, match=r"timed out|no answer"):
        fetch(silent_host, tmp_path / "file", quiet, answer_seconds=0.3)
    assert time.monotonic() - start < ANSWER_SECONDS


def test_name_server_that_does_not_answer_costs_no_more_either(tmp_path, monkeypatch):
    released = threading.Event()

    def look_up(*arguments, **options):
        released.wait()
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.3 s"):
        fetch("http://images.invalid/file", tmp_path / "file", quiet, answer_seconds=0.3)
    assert time.monotonic() - start < ANSWER_SECONDS
    released.set()


def serve(content, announced):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def test_download_reports_its_fraction_and_writes_the_file(tmp_path):
    content = bytes(range(256)) * 4096
    fractions = []
    with serve(content, len(content)) as server:
        fetch(f"http://127.0.0.1:{server.server_port}/", tmp_path / "file", lambda _, part: fractions.append(part))
        server.shutdown()
    assert (tmp_path / "file").read_bytes() == content
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_download_that_breaks_off_is_an_error(tmp_path):
    from http.client import IncompleteRead

    with serve(b"half", 8) as server:
        with pytest.raises((OSError, IncompleteRead)):
            fetch(f"http://127.0.0.1:{server.server_port}/", tmp_path / "file", quiet)
        server.shutdown()

"""dsbench sync, against a server that answers as W&B's does."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from synthetic import read
from synthetic import run as record
from wandb_server import Server

from dsbench.cli.wandb import sync
from dsbench.errors import FailureError, InputError
from dsbench.results.folder import SweepFolder
from dsbench.tracking.server import check_reachable

Logged = Callable[..., None]


def sweep(outputs: Path, name: str, *run_ids: str) -> None:
    SweepFolder(outputs / "sweeps" / name).write_plan(read([record() | {"run_id": run_id} for run_id in run_ids]), [])


def synced(outputs: Path, name: str | None = None, **options: Any) -> int:
    """The exit code."""
    try:
        sync(name, outputs, **{"at_once": 2, "again": False} | options)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_every_run_arrives_once_with_its_curves_though_the_server_is_asked_too_often(
    logged: Logged, outputs: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    logged("aaa", "bbb")
    server.too_many = 2
    assert synced(outputs, at_once=1) == 0
    assert server.too_many == 0
    assert sorted(server.runs) == ["aaa", "bbb"]
    for run_id, run in server.runs.items():
        assert (run["displayName"], run["groupName"], run["tags"]) == (f"name of {run_id}", "group", ["tag"])
        curve = [(line["epoch"], line["acc/val"]) for _, line in sorted(run["history"].items())]
        assert curve == [(1, 0.1), (2, 0.2), (3, 0.3)]
        assert run["finished"]
        assert server.files[f"{run_id}/dsbench.yaml"] == b"width: 8\n"
    assert server.most_at_once == 1
    before = Counter(server.operations)
    assert synced(outputs) == 0
    assert server.operations == before
    printed = ["uploaded: 2, uploaded before: 0", "uploaded: 0, uploaded before: 2"]
    assert capsys.readouterr().out.splitlines() == printed
    assert not list(outputs.rglob("*debug-sync*"))


def test_what_the_server_refuses_of_a_run_is_reported_and_tried_again_and_ends_no_other(
    logged: Logged, outputs: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    logged("aaa", "bbb", "ccc")
    server.refused, server.curves_refused = {"aaa"}, {"bbb"}
    assert synced(outputs, at_once=3) == 1
    assert server.runs["ccc"]["finished"]
    printed = capsys.readouterr().out
    assert "uploaded: 1, uploaded before: 0" in printed
    assert "the project is full, see [/docs] :x:" in next(line for line in printed.splitlines() if "aaa" in line)
    refused = next(line for line in printed.splitlines() if "bbb" in line)
    assert "HTTP 403 from /files/somebody/dsbench/bbb/file_stream" in refused
    server.curves_refused = set()
    sweep(outputs, "s1", "bbb", "ccc")
    assert synced(outputs, "s1") == 0
    assert "uploaded: 1, uploaded before: 1" in capsys.readouterr().out
    assert (server.runs["bbb"]["finished"], len(server.runs["bbb"]["history"])) == (True, 3)


def test_a_sync_that_is_ended_goes_on(logged: Logged, outputs: Path, server: Server) -> None:
    logged("aaa", "bbb")
    server.held = {"bbb"}
    command = [sys.executable, "-c", "from dsbench.cli.hydra import dsbench; dsbench()"]
    options = ["sync", "--outputs", str(outputs), "--at-once", "1"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: server.runs.get("aaa", {}).get("finished") and "bbb" in server.runs)
        finally:
            process.send_signal(signal.SIGTERM)
            printed = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + signal.SIGTERM
    said, ended = printed.splitlines()
    assert said == f"uploading 2 runs to {server.url}"
    assert ended.startswith("interrupted by SIGTERM")
    server.held = set()
    server.go.set()
    (mark,) = outputs.glob("wandb/*/run-aaa.wandb.synced")
    before, marked = server.operations["UpsertBucket"], mark.stat().st_mtime_ns
    assert synced(outputs) == 0
    assert server.runs["bbb"]["finished"]
    assert mark.stat().st_mtime_ns == marked
    # of bbb alone, which is started and completed, unless the sync that was ended had come as far
    assert server.operations["UpsertBucket"] - before in (0, 2)


def test_a_sweep_s_runs_go_with_its_summary_which_carries_verdict_cells_and_report(
    logged: Logged, logger: Any, outputs: Path, server: Server
) -> None:
    from dsbench.config.schema import Config
    from dsbench.publish.sweep import mirror_sweep
    from dsbench.tables import Table, names, texts

    logged("aaa", "other")
    sweep(outputs, "s1", "aaa")
    report = outputs / "report.html"
    report.write_text("<p>the page</p>")
    cells = pd.DataFrame({"model": ["cnn"], "test_acc_mean": [0.5]})
    chips = Table("Where it wins", (*names({"chip": ["tflm"]}), texts("dwsep against cnn", ["x 1.2"])))
    png = io.BytesIO()
    Image.new("RGB", (2, 2)).save(png, "PNG")
    said = {"n_cells": 1, "verdict": "lighter"}
    mirror_sweep(Config(logger=logger), outputs, "s1", said, cells, [report], [(chips, png.getvalue)])
    assert synced(outputs, "s1") == 0
    assert sorted(server.runs) == ["aaa", "sweep-s1"]
    assert (server.runs["sweep-s1"]["groupName"], server.runs["sweep-s1"]["tags"]) == ("s1", ["sweep", "s1"])
    assert '"verdict":"lighter"' in server.files["sweep-s1/wandb-summary.json"].decode()
    assert "report-s1" in server.committed
    assert server.files["report-s1/report.html"] == b"<p>the page</p>"
    assert "run-sweep-s1-cells" in server.committed
    assert any(name.startswith("run-sweep-s1-Whereitwins") for name in server.committed)
    assert [name for name in server.files if name.startswith("sweep-s1/media/images/") and name.endswith(".png")]


def test_again_uploads_what_has_been_uploaded(logged: Logged, outputs: Path, server: Server) -> None:
    logged("aaa")
    (run,) = (outputs / "wandb").glob("offline-run-*")
    (run / "run-aaa.wandb.synced").touch()
    assert synced(outputs) == 0
    assert not server.runs
    assert synced(outputs, again=True) == 0
    assert server.runs["aaa"]["finished"]


def test_a_run_in_training_is_left_for_later(
    logged: Logged, outputs: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    logged("aaa")
    (outputs / "runs" / "aaa").mkdir(parents=True)
    with FileLock(outputs / "runs" / "aaa" / ".lock"):
        assert synced(outputs) == 0
    assert capsys.readouterr().out == "uploaded: 0, uploaded before: 0, in training, left for later: 1\n"
    assert not server.operations


def test_without_an_account_nothing_is_asked(logged: Logged, outputs: Path) -> None:
    logged("aaa")
    with pytest.raises(InputError, match="this needs a W&B account: run `wandb login` or set WANDB_API_KEY"):
        synced(outputs)


def test_a_server_that_is_not_there_is_one_line(logged: Logged, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged("aaa")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(FailureError, match=r"cannot reach W&B at http://127\.0\.0\.1:1: .*refused"):
        synced(outputs)


def test_a_proxy_that_never_answers_is_one_line_within_seconds_and_names_no_password(
    logged: Logged, outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logged("aaa")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setattr(check_reachable, "__defaults__", (0.5,))
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, and nothing more
        where = f"127.0.0.1:{deaf.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{where}")
        with pytest.raises(FailureError) as failed:
            synced(outputs)
    assert str(failed.value) == (
        f"cannot reach W&B at https://api.wandb.ai through the proxy {where}: no answer in 0.5 s"
    )
    assert capsys.readouterr().err == f"uploading 1 run to https://api.wandb.ai through the proxy {where}\n"


@pytest.mark.parametrize(("status", "reached"), [(200, True), (302, True), (404, True), (502, False)])
def test_any_answer_is_the_server_s_but_a_proxy_s_that_did_not_get_through(
    monkeypatch: pytest.MonkeyPatch, status: int, reached: bool
) -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.handle_request, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.invalid")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        with nullcontext() if reached else pytest.raises(FailureError, match=r"through the proxy .*: HTTP 502"):
            check_reachable()


def test_where_there_is_nothing_to_upload_a_line_says_so(logged: Logged, outputs: Path) -> None:
    with pytest.raises(InputError, match=r"no offline runs of W&B in .*wandb; runs with logger=wandb leave them"):
        synced(outputs)
    logged("aaa")
    sweep(outputs, "s1", "bbb")
    with pytest.raises(InputError, match="unknown sweep 's2'; did you mean 's1'"):
        synced(outputs, "s2")
    with pytest.raises(InputError, match="no offline runs of the sweep s1"):
        synced(outputs, "s1")


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

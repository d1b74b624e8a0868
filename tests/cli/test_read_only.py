"""A folder of finished results that cannot be written to can be asked again: what stands there is shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
RUN = "train.max_epochs=1 width=2 arch=mnist_7800_shallow"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Within, nothing below `folder` can be written: by its modes or, as root, whom they do not bind, by a mount."""
    if os.getuid():
        subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        return
    mounted = shutil.which("mount") and subprocess.run(["mount", "--bind", folder, folder], check=False).returncode == 0
    if not mounted:
        pytest.skip("root can write everywhere, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_finished_results_are_shown_from_a_folder_that_cannot_be_written_to(
    call: Call, overrides: Callable[[str], list[str]], outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = ["-m", *overrides(f"{RUN} model=cnn,dwsep"), "bench_minutes=0", "hydra/launcher=basic", "report=false"]
    assert call("sweep", *sweep).code == 0
    (folder,) = (outputs / "sweeps").iterdir()
    given = ["--outputs", str(outputs)]
    with read_only(outputs):
        before = tree(outputs)
        shown = {
            "train": call("train", *overrides(f"{RUN} model=cnn")),
            "sweep": call("sweep", *sweep),
            **{name: call("dsbench", name, folder.name, *given) for name in ("results", "verdict", "report")},
            "all results": call("dsbench", "results", *given),
            "clean": call("dsbench", "clean", "--keep", "none", *given),
        }
        refused = {
            "another run": call("train", *overrides(f"{RUN} seed=5")),
            "anew": call("train", *overrides(f"{RUN} force=true")),
            "more seeds": call("sweep", *sweep, "seeds=2"),
            "removed": call("dsbench", "clean", "--keep", "none", "--yes", *given),
        }
        assert tree(outputs) == before
    report = shown.pop("report")
    assert {name: ended.code for name, ended in shown.items()} == dict.fromkeys(shown, 0)
    assert report.code == 2
    assert "At equal width 2" in report.out
    assert report.err.startswith(f"error: cannot write into {folder}: ")
    for name, ended in refused.items():
        assert ended.code == 2, name
        assert ended.err.splitlines()[-1].startswith("error: cannot "), name
    assert "all runs have a result and are shown" in caplog.text + shown["sweep"].err
    assert json.loads((outputs / "runs" / min(os.listdir(outputs / "runs")) / "result.json").read_text())["status"]

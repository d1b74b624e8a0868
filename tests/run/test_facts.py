"""What is recorded of the code that makes a run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dsbench
from dsbench.provenance import source_sha256

ASK = "from dsbench.provenance import source_sha256; print(source_sha256())"


def asked(where: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", ASK], cwd=where, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_source_is_the_code_that_computes_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "dsbench"
    shutil.copytree(Path(dsbench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert asked(tmp_path) == source_sha256()  # wherever it lies

    (package / "cli" / "another.py").write_text("shown = 1\n")
    assert asked(tmp_path) == source_sha256()

    module = package / "training" / "recipe.py"
    module.write_text(module.read_text() + "\n")
    changed = asked(tmp_path)
    assert changed != source_sha256()

    module.rename(package / "training" / "schedule.py")
    assert asked(tmp_path) not in (changed, source_sha256())

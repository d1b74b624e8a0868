"""What is recorded of the code that makes a run."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import dsbench
from dsbench.provenance import COMPUTING, SHOWING, source_sha256

ASK = "from dsbench.provenance import source_sha256; print(source_sha256())"


def hash_at(where: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", ASK], cwd=where, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_source_is_the_code_that_computes_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "dsbench"
    shutil.copytree(Path(dsbench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert hash_at(tmp_path) == source_sha256()  # wherever it lies

    (package / "cli" / "another.py").write_text("shown = 1\n")
    for name in SHOWING:
        (package / name).write_text("shown = 1\n")
    assert hash_at(tmp_path) == source_sha256()

    module = package / "training" / "recipe.py"
    module.write_text(module.read_text() + "\n")
    changed = hash_at(tmp_path)
    assert changed != source_sha256()

    module.rename(package / "training" / "schedule.py")
    assert hash_at(tmp_path) not in (changed, source_sha256())


def test_no_module_that_computes_imports_one_that_only_shows() -> None:
    package = Path(dsbench.__file__).parent
    shows = {f"dsbench.{name.removesuffix('.py').replace('/', '.')}" for name in SHOWING}
    assert all((package / name).is_file() for name in SHOWING)
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        if name.split("/")[0] in COMPUTING and name not in SHOWING:
            nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            imported = {node.module for node in nodes}
            imported |= {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
            assert not imported & shows, name

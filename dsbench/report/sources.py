"""What the page of a sweep is made of, as one checksum: where that is the same, the page that is there will do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import dsbench
from dsbench.results.folder import SweepFolder
from dsbench.run.folder import RunFolder

FILES = ("report.html", "report.md", "report.json")
PICTURES = "figures"  # the folder of those that Markdown shows


def made_of(folder: SweepFolder) -> str:
    """The SHA-256 of all that a page of the sweep shows, and of the program that makes it, by name and content."""
    package = Path(dsbench.__file__).parent
    total = hashlib.sha256()
    for path in (*sorted(package.rglob("*.*")), *_shown(folder)):
        if path.is_file() and path.suffix != ".pyc":
            content = path.read_bytes()
            total.update(f"{path} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _shown(folder: SweepFolder) -> Iterator[Path]:
    yield from (folder.sweep_file, folder.plan_file, folder.path / "looks.json")
    for run_id in folder.run_ids():
        run = RunFolder(folder.outputs / "runs" / run_id)
        yield from (run.result_file, run.metrics_file, run.confusion_file, run.correct_file)


def written_of(folder: Path, made_of: str) -> list[Path]:
    """The files of the page in `folder`, where all are there, pictures among them, and of what `made_of` says."""
    files = [folder / name for name in FILES]
    try:
        data = json.loads(files[-1].read_bytes())
        pictures = [folder / PICTURES / f"{name}.svg" for name in data["pictures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return files if data.get("made_of") == made_of and all(map(Path.is_file, [*files, *pictures])) else []

"""The ONNX part of `dsbench bench`: whether there is one, where its files go, and their table."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.cli.networks import NamedNetwork, called, differing, names, told_apart
from dsbench.cli.output import remark, remark_in_passing, table
from dsbench.errors import InputError
from dsbench.measure.by_turns import RunningCosts, running_costs
from dsbench.measure.onnx_files import Files, check_installed, lacking

if TYPE_CHECKING:
    from rich.table import Table

    from dsbench.measure.roofline_rows import Roofline
    from dsbench.run.lock import Owner


@contextmanager
def onnx_files(named: Sequence[NamedNetwork], asked: bool | None, keep: Path | None) -> Iterator[list[Files]]:
    """The files of each network, in a folder that is gone afterwards; none where ONNX Runtime is left out.

    Unless `asked` says, runs have them where the extra is installed, and so has what is to be kept: once all went well,
    the files are copied into the folder `keep`. Raises InputError where the extra is missing and where nothing can be
    written to `keep`.
    """
    if keep is not None and asked is False:
        raise InputError(f"--keep {keep} keeps ONNX files, and --no-onnx makes none; give one of the two")
    lack = lacking()
    if asked is None and keep is None:
        asked = named[0].run is not None and not lack
        if named[0].run is not None and lack:
            remark(f"without ONNX Runtime: {lack}")
    if asked is False:
        yield []
        return
    check_installed()
    if keep is not None:
        _check_folder(keep)
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        files = [Files.named(Path(folder), name) for name in _file_names(named)]
        yield files
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            kept = [shutil.copy(path, keep) for one in files for path in (one.fp32, one.int8)]
            remark(f"kept: {', '.join(map(str, kept))}")


def _check_folder(keep: Path) -> None:
    """Raise InputError where no file can be written to `keep`; a folder made to find out goes again."""
    new = [path for path in (keep, *keep.parents) if not path.exists()]
    try:
        keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=keep):
            pass
    except OSError as error:
        raise InputError(f"--keep {keep}: {error.strerror}") from None
    finally:
        for path in new:
            if path.is_dir():
                path.rmdir()


def _file_names(named: Sequence[NamedNetwork]) -> list[str]:
    """The run's id, or what the network is called, with a number where that is not enough."""
    words = [re.sub(r"[^\w.=]+", "-", name) for name in called(named)]
    found = [one.run.run_id if one.run else word for one, word in zip(named, words, strict=True)]
    return found if len(set(found)) == len(found) else [f"{name}-{number}" for number, name in enumerate(found, 1)]


def onnx(benched: Sequence[Benched]) -> Table | None:
    """Size of the files and, of trained networks, accuracy beside torch's in fp32; None where there are no files."""
    named, sections = names(benched), [one.measured.onnx for one in benched]
    first = sections[0]
    if not first:
        return None
    trained = "torch_fp32" in first
    out = table("ONNX files", *differing(named), "backend")
    for name in ("bytes", *(("test accuracy", "to torch (points)") if trained else ())):
        out.add_column(name, justify="right")
    for cells, section in zip(told_apart(named), sections, strict=True):
        for label, key in (("torch fp32", "torch_fp32"), ("onnx fp32", "fp32"), ("onnx int8", "int8")):
            if key in section:
                out.add_row(*cells, label, *_cells(section[key], section.get("torch_fp32")))
    return out


def _cells(found: dict[str, Any], torch: dict[str, Any] | None) -> list[str]:
    size = f"{found['bytes']:,}" if "bytes" in found else ""
    if torch is None:
        return [size]
    points = f"{100 * (found['test_acc'] - torch['test_acc']):+.2f}" if size else ""
    return [size, f"{100 * found['test_acc']:.2f} %", points]


@dataclass(frozen=True)
class Benched(NamedNetwork, RunningCosts):
    """A network and what was measured of it."""

    @property
    def name(self) -> dict[str, Any]:
        """The network's name, and the device, precision and threads that its configuration asked for."""
        where = self.compute
        return super().name | {"device": where.name, "precision": where.precision, "threads": where.threads}


def measured(
    named: Sequence[NamedNetwork],
    batches: Sequence[int],
    limit_seconds: float,
    compile_too: bool,
    onnx: Sequence[Files],
    roofline: bool,
) -> list[Benched]:
    """Measure the networks side by side, each on the device and in the precision that its configuration names."""
    found = running_costs(
        lambda: [one.subject() for one in named],
        limit_seconds,
        batches,
        compile_too,
        onnx,
        rooflines_of=called(named) if roofline else None,
        say=lambda what: remark_in_passing(f"measuring: {what}"),
    )
    return [Benched(**vars(one), **vars(costs)) for one, costs in zip(named, found, strict=True)]


def rooflines(benched: Sequence[Benched]) -> list[Roofline]:
    """The rooflines, where there are any."""
    return [one.roofline for one in benched if one.roofline is not None]


def objects(benched: Sequence[Benched]) -> list[dict[str, Any]]:
    """All of each network for JSON; rooflines also in words, with what makes each slower or faster than the first."""
    out = [one.name | one.record for one in benched]
    lines = rooflines(benched)
    if lines:
        from dsbench.measure.roofline_record import comparison, verdict

        for found, line in zip(out, lines, strict=True):
            compared = {"comparison": comparison(lines[0], line)} if line is not lines[0] else {}
            found["roofline"] = found["roofline"] | {"verdict": verdict(line)} | compared
    return out


def add_to_records(benched: Sequence[Benched]) -> None:
    """Add to the record of each run what was measured of it. Raises InputError where it was trained anew meanwhile."""
    for one in benched:
        if one.run is not None:
            from dsbench.run.bench import keep

            keep(one.run, one.record, _say_who)
            remark(f"added to {one.run.folder.result_file}")


def _say_who(path: Path, owner: Owner | None) -> None:
    remark(f"{owner or 'another process'} has the run in {path}; waiting for it")

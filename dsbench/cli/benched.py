"""Networks with what was measured of them, as tables, JSON and records of runs have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench import torchvision_ops
from dsbench.cli.networks import NamedNetwork, called
from dsbench.cli.output import remark, remark_in_passing
from dsbench.deploy.files import Files
from dsbench.process import wait_briefly
from dsbench.run import facts

if TYPE_CHECKING:
    from dsbench.bench.measure import Measured
    from dsbench.roofline.rows import Roofline
    from dsbench.run.owner import Owner
    from dsbench.training.device import Compute


@dataclass(frozen=True)
class Benched(NamedNetwork):
    """A network, where it computed, and what was measured: `record` holds `measured` as result.json does.

    `roofline` is None where it was not asked for.
    """

    compute: Compute
    measured: Measured
    record: dict[str, Any]
    roofline: Roofline | None

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
    load_average = facts.load_average()
    wait_briefly()  # before torch is imported
    torchvision_ops.ensure()  # before Lightning imports torchvision
    subjects = [one.subject() for one in named]
    from dsbench.bench.measure import bench
    from dsbench.bench.record import record
    from dsbench.roofline.measure import measure_rooflines
    from dsbench.roofline.record import section

    def say(what: str) -> None:
        remark_in_passing(f"measuring: {what}")

    # First, since it can be refused, and what counts memory afterwards may slow down all that follows.
    lines = measure_rooflines(subjects, called(named), limit_seconds, say) if roofline else [None] * len(named)
    found = bench(subjects, batches, limit_seconds, compile_too, onnx, say)
    computes = [subject.compute for subject in subjects]
    records = [
        record(one, compute, load_average) | section(line, one.session)
        for one, compute, line in zip(found, computes, lines, strict=True)
    ]
    rows = zip(named, computes, found, records, lines, strict=True)
    return [
        Benched(**vars(one), compute=compute, measured=measured, record=record, roofline=line)
        for one, compute, measured, record, line in rows
    ]


def rooflines(benched: Sequence[Benched]) -> list[Roofline]:
    """The rooflines, where there are any."""
    return [one.roofline for one in benched if one.roofline is not None]


def objects(benched: Sequence[Benched]) -> list[dict[str, Any]]:
    """All of each network for JSON; with rooflines also what makes each later one slower or faster than the first."""
    out = [one.name | one.record for one in benched]
    lines = rooflines(benched)
    if lines:
        from dsbench.roofline.verdict import comparison

        for found, line in zip(out[1:], lines[1:], strict=True):
            found["roofline"] = found["roofline"] | {"comparison": comparison(lines[0], line)}
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

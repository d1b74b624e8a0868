"""Networks with what was measured of them, as tables, JSON and records of runs have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.cli.networks import NamedNetwork, called
from dsbench.cli.output import remark, remark_in_passing
from dsbench.deploy.files import Files
from dsbench.run.by_turns import RunningCosts, running_costs

if TYPE_CHECKING:
    from dsbench.roofline.rows import Roofline
    from dsbench.run.owner import Owner


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

"""The picture of all published sweeps: python benchmarks/published.py docs/results

A row for each comparison of the headline, and for each hybrid with its conventional network; a field for what is
counted, timed and scored of it, in the colour of the family that is ahead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.errors import InputError
from dsbench.figures.ahead import Field, draw_fields
from dsbench.figures.chips import field
from dsbench.figures.style import rendered
from dsbench.files import write_atomically
from dsbench.numerals import difference_points
from dsbench.results.folder import RunsFile
from dsbench.sweep.design import explores
from dsbench.sweep.looks import rule_of
from dsbench.verdict.better import Better, topology
from dsbench.verdict.groups import BUDGET, WIDTH
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison, Judged, verdict
from dsbench.verdict.words import brief_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTED = {"params": "params", "macs": "MACs", "acts": "activations"}
TIMED = {"training step": "training step", "latency at batch 1": "one image"}
HEADS = (*COUNTED.values(), *TIMED.values(), "test accuracy, points", "failed to train")
MOST_POINTS = 4.0  # from which on the colour of an accuracy is no stronger
TITLE = "What the separable network and the hybrid cost and gain"
CAPTION = (
    "A row a comparison: what both are matched by, data (sweep), and the networks. Costs: the candidate's as so many "
    "times the reference's, counted or measured by turns. Accuracy: the candidate's less the reference's, of the runs "
    "that trained. Failed to train: the candidate, then the reference, of how many. Coloured is who is ahead, the "
    "stronger the further; grey is undecided or within the margin; a dash was not measured by turns."
)
COLUMN, NAMES = 1.1, 4.6  # inches


@dataclass(frozen=True)
class Row:
    """A comparison of the sweep of that name; `by` what its group is matched by: how, and which cost of which chip."""

    sweep: str
    by: tuple[str, str]
    pair: Comparison

    @property
    def families(self) -> tuple[str, str]:
        """That of the reference and that of the candidate."""
        reference, candidate = (str(cell.names["model"]) for cell in self.pair.cells)
        return reference, candidate

    @property
    def name(self) -> str:
        """What is matched, both networks and the sweep."""
        candidate, reference = brief_labels(self.pair)
        data = self.pair.cells[0].names["data"]
        return f"{self.pair.group}, {data} ({self.sweep})\n{candidate} against {reference}"

    @property
    def order(self) -> tuple[int, str, str]:
        """Equal width first, then the budgets by their cost."""
        kinds = {WIDTH: 0, BUDGET: 1}
        return kinds.get(self.by[0], 2), self.by[1], self.sweep

    @property
    def fields(self) -> list[Field | None]:
        """One for each of HEADS."""
        costs = {one.name: one for one in self.pair.lighter}
        times = {one.name: one for one in self.pair.measured if one.decides}
        return [
            *(field(costs.get(name), self.families) for name in COUNTED),
            *(field(times.get(name), self.families) for name in TIMED),
            _accuracy(self.pair.better, self.families),
            self._failed(),
        ]

    def _failed(self) -> Field | None:
        after, before = self.pair.reliable.candidate, self.pair.reliable.reference
        if not after.n or not before.n:
            return None
        sides = {Answer.BETTER: 1, Answer.WORSE: 0}
        side = sides.get(self.pair.reliable.answer)
        text = f"{after.failed}/{after.n}, {before.failed}/{before.n}"
        return Field(text) if side is None else Field(text, self.families[side], 1.0)


def _accuracy(better: Better, families: tuple[str, str]) -> Field | None:
    if better.mean is None:
        return None
    half = better.interval and better.interval.half
    text = difference_points(better.mean, half or better.mean)
    if better.answer not in (Answer.BETTER, Answer.WORSE):
        return Field(text)
    ahead = families[better.answer is Answer.BETTER]
    return Field(text, ahead, min(1.0, abs(100 * better.mean) / MOST_POINTS))


def rows(folders: Sequence[Path]) -> list[Row]:
    """Those of the sweeps in these folders that have a verdict, in order. Raises InputError for damaged files."""
    judged = (folder for folder in folders if not explores(RunsFile.at(folder / "runs.csv")))
    return sorted((row for folder in judged for row in _rows(folder)), key=lambda row: row.order)


def _rows(folder: Path) -> Iterator[Row]:
    sweep = RunsFile.at(folder / "runs.csv")
    table, _ = sweep.read()
    judged = verdict(sweep.outputs, table, rule=rule_of(sweep))
    headline = set(map(_ids, judged.headline))
    told: set[frozenset[str]] = set()
    for group in judged.groups:
        for pair in group.comparisons:
            if _ids(pair) not in told and (_ids(pair) in headline or _is_of_hybrid(pair)):
                told.add(_ids(pair))
                yield Row(folder.name, (group.group.by, _matched(group)), pair)


def _ids(pair: Comparison) -> frozenset[str]:
    return frozenset(cell.cell_id for cell in pair.cells)


def _is_of_hybrid(pair: Comparison) -> bool:
    reference, candidate = pair.cells
    return (reference.names["model"], candidate.names["model"]) == ("cnn", "hybrid") and topology(
        reference
    ) == topology(candidate)


def _matched(group: Judged) -> str:
    return f"{group.group.chip or ''}{group.group.measure or ''}"


def picture(shown: Sequence[Row]) -> Figure:
    """All of them."""
    drawn = [(row.name, row.fields) for row in shown]
    seen = ". ".join(
        f"{name}: " + ", ".join(f"{head} {one.text}" for head, one in zip(HEADS, fields, strict=True) if one)
        for name, fields in drawn
    ).replace("\n", ", ")
    return draw_fields(HEADS, drawn, TITLE, CAPTION, seen, COLUMN, NAMES)


def main() -> int:
    """Write the picture beside the sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        shown = rows(sorted(path.parent for path in folder.glob("*/runs.csv")))
        if not shown:
            raise InputError(f"no comparison in {folder}/*/runs.csv; docs/results has some")
        write_atomically(folder / "results.svg", rendered(picture(shown), "svg"))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

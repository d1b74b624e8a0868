"""Looks at a sweep: over which runs it was judged, how each comparison stood, and which cells more seeds may decide.

Lan and DeMets (1983) with Pocock's spending: of the chance of a false claim each look may spend what comes with the
seeds that are there, so that all looks of one plan together spend no more than one look at the full level.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from dsbench import provenance
from dsbench.errors import InputError, first_line
from dsbench.files import write_atomically
from dsbench.results.folder import RunsFile, SweepFolder
from dsbench.run.record import BROKEN, FINAL
from dsbench.statistics.looks import fraction
from dsbench.statistics.means import FEWEST, Interval
from dsbench.sweep.design import refuse_explored
from dsbench.verdict.better import Better, decide, key
from dsbench.verdict.cells import Cell, Run, cells
from dsbench.verdict.groups import groups
from dsbench.verdict.rule import DECIDED, Answer, Kept, Rule, Standing
from dsbench.verdict.verdict import Verdict

LOOKS = (3, 5, 8, 12, 16)  # seeds of each cell
FAILING = 5  # seeds of a cell, the first, which train no more where all of them failed


@dataclass(frozen=True)
class Schedule:
    """At how many seeds of each cell a sweep with seeds=auto looks, ascending; the last is the most that it trains."""

    looks: tuple[int, ...]

    @classmethod
    def of(cls, looks: Sequence[int] | None, most: int | None) -> Schedule:
        """`looks`, LOOKS where they are None, cut at `most` seeds, at which it looks too. Raises InputError."""
        asked = tuple(LOOKS if looks is None else looks)
        if not asked or asked[0] < FEWEST or any(now >= after for now, after in pairwise(asked)):
            raise InputError(f"looks {list(asked)} are not numbers of seeds that ascend from {FEWEST} or more")
        if most is None:
            return cls(asked)
        if most < FEWEST:
            raise InputError(f"max_seeds {most} is too few: {FEWEST} seeds a side are the fewest that decide")
        return cls((*(seeds for seeds in asked if seeds < most), most))

    @property
    def most(self) -> int:
        """How many seeds of a cell are trained at the most."""
        return self.looks[-1]

    @property
    def batches(self) -> list[range]:
        """The seeds that each look waits for, beyond those of the look before."""
        return [range(*ends) for ends in pairwise((0, *self.looks))]


@dataclass(frozen=True)
class Looked:
    """How a comparison stood at a look.

    `trained` counts the trained seeds of each of its `cells`, failed ones included, and `seeds` are those that are done
    and whose accuracies were judged. `fractions` of all seeds were there at the looks of its plan so far (see
    dsbench.verdict.rule.Standing), and `comparisons` shared its level. `margin`, `mean`, `low` and `high` are shares
    of 1.
    """

    cells: tuple[str, ...]
    trained: tuple[int, ...]
    seeds: tuple[tuple[int, ...], ...]
    fractions: tuple[float, ...]
    comparisons: int
    margin: float
    answer: Answer
    decided: bool
    images_cannot_tell: bool
    mean: float | None
    low: float | None
    high: float | None

    @property
    def kept(self) -> Kept | None:
        """The decision that it made; None where it made none."""
        if not self.decided or self.mean is None or self.low is None or self.high is None:
            return None
        level = Standing(self.fractions).level(self.comparisons)
        return Kept(self.mean, Interval(self.low, self.high), level, self.comparisons)


@dataclass(frozen=True)
class Look:
    """When a sweep was looked at, which `runs` had a result, and the comparisons that were judged anew, by key.

    `most` is max_seeds of the seeds=auto that planned the look, `at` the seeds that it waited for. None: the seeds were
    given, and the look is one for itself.
    """

    when: str
    most: int | None
    at: int | None
    runs: tuple[str, ...]
    comparisons: Mapping[str, Looked]


@dataclass(frozen=True)
class Compared:
    """A pair or an effect of a verdict."""

    key: str
    cells: tuple[Cell, ...]
    better: Better


def compared(verdict: Verdict) -> Iterator[Compared]:
    """All that a verdict compares, each once."""
    for pair in verdict.comparisons:
        yield Compared(key(pair.cells), pair.cells, pair.better)
    for judged in verdict.groups:
        for effect in judged.factorial.effects if judged.factorial else ():
            yield Compared(key(effect.cells, effect.name), effect.cells, effect.better)


class Looks:
    """The looks that were taken at a sweep, kept in its folder's looks.json."""

    def __init__(self, folder: SweepFolder) -> None:
        """Raises InputError where the file is damaged."""
        self.folder, self.path = folder, folder.path / "looks.json"
        self.taken = self._read()

    @property
    def plans(self) -> int:
        """How often the full level was spent: the looks of one plan spend it together, any other look by itself."""
        most = [look.most for look in self.taken]
        return len(set(most) - {None}) + most.count(None)

    def standings(self) -> dict[str, Standing]:
        """How the comparisons stand, by key; those of a planned look as of it, whatever was trained since."""
        return {
            key: Standing(looked.fractions)
            if look.most is None
            else Standing(looked.fractions, number, tuple(map(frozenset, looked.seeds)), looked.kept)
            for number, look in enumerate(self.taken, 1)
            for key, looked in look.comparisons.items()
        }

    def miss(self, runs: Iterable[str]) -> bool:
        """Whether any of `runs`, by id, was there at no look."""
        return not set(runs).issubset(run_id for look in self.taken for run_id in look.runs)

    def until(self, most: int, at: int) -> Looks:
        """The looks before the first that was planned, of `most` seeds, for more than `at`."""
        out = copy(self)
        planned = (number for number, look in enumerate(self.taken) if look.most == most and (look.at or 0) > at)
        out.taken = self.taken[: next(planned, len(self.taken))]
        return out

    def take(self, judged: Verdict, most: int | None = None, at: int | None = None) -> None:
        """Look at what was `judged` with no regard to earlier looks, unless nothing is there that is new.

        `most` and `at` are those of a look that was planned. A comparison that is decided is not looked at again, nor
        is, in a planned look, one with no more seeds than before. A look that nobody planned, over runs that were not
        judged yet, leaves levels as they are. Raises OSError where the look cannot be kept for another process.
        """
        with self.folder.locked():
            kept = self._read()
            self.taken = kept if len(kept) >= len(self.taken) else self.taken
            runs = tuple(run.run_id for cell in judged.cells for run in cell.runs if run.status in FINAL)
            comparisons = list(compared(judged))
            looked = {
                comparison.key: _looked(comparison, fractions)
                for comparison in comparisons
                if not self.decided(comparison) and (fractions := self._fractions(comparison, most))
            }
            if looked and (most or self.miss(runs)):
                self.taken.append(Look(provenance.now(), most, at, runs, looked))
                self._write()

    def forget(self, runs: Collection[str]) -> None:
        """Forget the first look that judged any of `runs`, by id, which are trained anew, and all that came after it.

        Raises OSError where that cannot be kept.
        """
        if not runs:
            return
        with self.folder.locked():
            taken = self._read()
            first = next((number for number, look in enumerate(taken) if set(look.runs) & set(runs)), len(taken))
            self.taken = taken[:first]
            if first < len(taken):
                self._write()

    def decided(self, comparison: Compared) -> bool:
        """Whether a planned look has decided it, by the margin that it has now."""
        look, looked = self._latest(comparison.key)
        if look is None or looked is None or look.most is None or not looked.decided:
            return False
        return looked.answer is not Answer.AS_GOOD or looked.margin == comparison.better.margin

    def still_open(self, judged: Verdict) -> set[str]:
        """The cells, by id, of which more seeds may decide a comparison.

        Not where the images alone leave more room than there is, nor where a cell does not train at all.
        """
        cells: set[str] = set()
        for comparison in compared(judged):
            _, looked = self._latest(comparison.key)
            images_cannot_tell = looked is not None and looked.images_cannot_tell
            hopeless = images_cannot_tell or any(map(never_trains, comparison.cells))
            if not hopeless and not self.decided(comparison):
                cells |= {cell.cell_id for cell in comparison.cells}
        return cells

    def _latest(self, key: str) -> tuple[Look | None, Looked | None]:
        look = next((look for look in reversed(self.taken) if key in look.comparisons), None)
        return look, look.comparisons[key] if look else None

    def _fractions(self, comparison: Compared, most: int | None) -> tuple[float, ...]:
        """The shares of all seeds at the looks so far, this one the last; empty where it is not looked at."""
        _, latest = self._latest(comparison.key)
        if most is None:
            return latest.fractions if latest else (1.0,)
        key = comparison.key
        before = [look.comparisons[key] for look in self.taken if look.most == most and key in look.comparisons]
        past = before[-1].fractions if before else ()
        now = fraction([len(trained(cell)) for cell in comparison.cells], most)
        return (*past, now) if now > max(past, default=0.0) else ()

    def _write(self) -> None:
        write_atomically(self.path, json.dumps([asdict(look) for look in self.taken], indent=1) + "\n")

    def _read(self) -> list[Look]:
        try:
            return [_look(look) for look in json.loads(self.path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            how = f"{self.path} is damaged: {first_line(error)}"
            raise InputError(f"{how}; delete it, and the same sweep looks anew") from None


def _look(plain: dict[str, Any]) -> Look:
    """The look that was written as `plain`. Raises KeyError, TypeError or ValueError where it was not."""
    comparisons = {}
    for name, looked in plain["comparisons"].items():
        cells, trained, fractions = (tuple(_list(looked[field])) for field in ("cells", "trained", "fractions"))
        seeds = tuple(tuple(_whole(some)) for some in _list(looked["seeds"]))
        shares = [now for now in fractions if type(now) in (int, float) and 0 < now <= 1]
        if not shares or len(shares) < len(fractions) or any(now >= after for now, after in pairwise(shares)):
            raise ValueError(f"fractions {list(fractions)} do not ascend from above 0 to 1 at the most")
        if not len(cells) == len(_whole(trained)) == len(seeds):
            raise ValueError(f"{name} has {len(cells)} cells, and other numbers of seeds")
        read = {"cells": cells, "trained": trained, "fractions": fractions, "seeds": seeds}
        comparisons[name] = Looked(**looked | read | {"answer": Answer(looked["answer"])})
    _whole(value for value in (plain["most"], plain["at"]) if value is not None)
    return Look(**plain | {"runs": tuple(_list(plain["runs"])), "comparisons": comparisons})


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _whole(values: Iterable[Any]) -> list[int]:
    out = list(values)
    if any(type(value) is not int or value < 0 for value in out):
        raise ValueError(f"{out} are not whole numbers")
    return out


def _looked(comparison: Compared, fractions: tuple[float, ...]) -> Looked:
    """The comparison as it stands at the last of these `fractions` of all seeds."""
    better, cells, standing = comparison.better, comparison.cells, Standing(fractions)
    own = standing.level(better.comparisons)
    difference = better.difference and replace(better.difference, cautious=standing.looks_again)
    decision = decide(difference, own, better.margin) if difference else None
    answer = decision.answer if decision else Answer.TOO_FEW
    interval = decision.interval if decision else None
    decided = answer in DECIDED
    return Looked(
        cells=tuple(cell.cell_id for cell in cells),
        trained=tuple(len(trained(cell)) for cell in cells),
        seeds=tuple(tuple(sorted(run.seed for run in cell.done if run.seed is not None)) for cell in cells),
        fractions=fractions,
        comparisons=better.comparisons,
        margin=better.margin,
        answer=answer,
        decided=decided,
        images_cannot_tell=bool(
            difference and difference.decides and not decided and difference.images_cannot_tell(own, better.margin)
        ),
        mean=better.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def trained(cell: Cell) -> list[Run]:
    """The runs of a cell that have ended, in order of their seeds; those that failed are among them."""
    ended = [run for run in cell.runs if run.seed is not None and run.status in FINAL | BROKEN]
    return sorted(ended, key=lambda run: run.seed or 0)


def never_trains(cell: Cell) -> bool:
    """Whether the first FAILING seeds of a cell have all failed."""
    first = trained(cell)[:FAILING]
    return len(first) == FAILING and not any(run.status == "done" for run in first)


def rule_of(folder: SweepFolder | None, margin: float | None = None) -> Rule:
    """By what runs are judged: a sweep's by the margins that it was run with and by how its comparisons stand.

    Another `margin`, in percentage points, comes before the sweep's own. Raises InputError for one below 0, where there
    is no sweep, for the first of two stages, which judges nothing, for a table of a sweep with looks that has come
    without them, and for damaged files.
    """
    if margin is not None and not 0 <= margin < math.inf:
        raise InputError(f"margin: {margin:g} is not a number of percentage points, 0 or more")
    rule = Rule()
    if folder is not None:
        refuse_explored(folder)
        looks = Looks(folder)
        if isinstance(folder, RunsFile):
            _refuse_without_looks(folder, looks.path)
        rule = Rule(**folder.margins(), standings=looks.standings(), looks=max(1, looks.plans))
    return rule if margin is None else replace(rule, margin=margin, given=True, sweeps_margin=rule.margin)


def _refuse_without_looks(table: RunsFile, looks: Path) -> None:
    """Raise InputError for a table of runs that came without its sweep's looks, of which its sweep.yaml speaks.

    Before its first look a sweep has none, and where there are no two cells to compare.
    """
    planned = table.metadata().get("looks")
    if not planned or looks.is_file():
        return
    known = [cell for cell in cells(*table.read()) if cell.ended >= planned[0]]
    if any(group.pairs for group in groups(known)):
        raise InputError(
            f"{table.file} is of a sweep that looked as seeds were added; put its {looks.name} beside it as well, "
            "which says how often"
        )

"""The name of a sweep: that of its file or, without one, what it compares in a few words; more seeds change neither.

A hash of its cells stands behind both: it tells two sweeps of the same words apart, and finds a sweep again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.config.overrides import key
from dsbench.config.schema import DESIGNS, SWEEPS_OWN
from dsbench.numerals import short
from dsbench.results.folder import SweepFolder, natural, read, with_hash
from dsbench.results.records import ROLES
from dsbench.run.identity import OUTSIDE
from dsbench.run.record import Record
from dsbench.sweep.plan import SweepPlan

LONGEST = 64  # letters of a name, which W&B takes as a tag
WORDS = LONGEST - len("-12345678")  # letters before the hash
_SHOWN = 3  # values of an axis that are listed
_HOW = ("hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials")  # where runs are trained, how many are tried
CHOSEN_SUFFIX = "-chosen"  # behind the name of a sweep that explores: what it has chosen
LONGEST_EXPLORED = WORDS - len(f"{CHOSEN_SUFFIX}-1234")  # letters of its words


@dataclass(frozen=True)
class SweepName:
    """A name; without a file of its own the hash of its cells too, and the name to take where another was quicker."""

    text: str
    hash: str | None = None
    instead: str | None = None


def named_by_plan(
    outputs: Path,
    named: str | None,
    changes: Sequence[str],
    words: Callable[[Sequence[Record]], str],
    plan: SweepPlan,
    design: str | None = None,
) -> SweepName:
    """The name of a sweep once its `plan` is known; see sweep_name."""
    return sweep_name(outputs, named, changes, plan.cells, lambda: words(plan.facts), design)


def sweep_name(
    outputs: Path,
    named: str | None,
    changes: Sequence[str],
    cells: Iterable[str],
    words: Callable[[], str],
    design: str | None = None,
) -> SweepName:
    """The name of a sweep under `outputs`: that of its file, `words`, or either with a hash of its `cells` (cell_ids).

    `named` is the sweep's file, if it has one; the hash comes on top where there are `changes` to what it runs. Without
    a file it comes on top of `words` where another sweep is called so. A sweep that is there already keeps its name,
    which an older version made of the hash alone. What explores by a `design` is another sweep than one of the same
    cells that is judged, and than one by another design.
    """
    digest = _hash(cells, design)
    if named is not None:
        return SweepName(f"{named}-{digest}" if changes else named)
    there = with_hash(outputs, digest)
    if there is not None:
        return SweepName(there.name, digest)
    text = words()
    names = (text, f"{text}-{digest[:4]}", f"{text}-{digest}")
    own = (name for name in names if _is_free(SweepFolder(outputs / "sweeps" / name), digest, design))
    return SweepName(next(own, names[-1]), digest, names[-1])


def chosen_name(explored: SweepFolder, roles: Mapping[str, Sequence[str]]) -> SweepName:
    """The name of what the sweep in `explored` has chosen: cells, by cell_id, with their `roles`.

    Where an earlier choice has the name, of other cells or in other roles, a hash of these stands behind it.
    """
    text = f"{explored.name}{CHOSEN_SUFFIX}"
    there = explored.path.with_name(text)
    if not SweepFolder(there).sweep_file.exists() or (SweepFolder(there).design or {}).get(ROLES) == dict(roles):
        return SweepName(text)
    return SweepName(f"{text}-{_hash(f'{cell_id} {sorted(own)}' for cell_id, own in roles.items())[:4]}")


def _is_free(folder: SweepFolder, digest: str, design: str | None) -> bool:
    """Whether nothing is in the folder, or a sweep of these cells whose sweep.yaml somebody has deleted."""
    if folder.sweep_file.exists():
        return False
    planned = read(folder.plan_file)
    return not planned or _hash({str(run.cell_id) for run in planned.values()}, design) == digest


def _hash(cells: Iterable[str], design: str | None = None) -> str:
    explores = [] if design is None else [f"design={design}"]
    return hashlib.sha256(" ".join([*explores, *sorted(cells)]).encode()).hexdigest()[:8]


def deciding(arguments: Sequence[str]) -> list[str]:
    """Those of `arguments` that change which cells a sweep runs."""
    of_designs = {"design", *(kind.options for kind in DESIGNS.values())}
    outside = ("seed", "sweep", *SWEEPS_OWN - of_designs, *OUTSIDE, *_HOW)

    def decides(name: str) -> bool:
        return not any(name == other or name.startswith(f"{other}.") for other in outside)

    return [argument for argument in arguments if decides(key(argument))]


def words(cells: Sequence[Record]) -> str:
    """What cells are, as `cnn-dwsep-mnist5k-18k`: their models, data, budgets or widths, and what else differs.

    `cells` has the facts of a run of each; their order does not matter.
    """
    studies = {cell.label.study for cell in cells if not cell.label.modified}
    study = next(iter(studies)) if len(studies) == 1 and all(not cell.label.modified for cell in cells) else None
    archs = {str(cell.arch) for cell in cells}
    parts = [
        *([(study, study)] if study else []),
        _listed({str(cell.model) for cell in cells}, "models"),
        *([_listed(archs, "archs")] if archs != {"plain"} and not study else []),
        *([] if study else [_listed({str(cell.data) for cell in cells}, "sets")]),
        *_sizes(cells),
        *_axes(cells),
    ]
    return joined(parts)


def joined(parts: Sequence[tuple[str, str]]) -> str:
    """Parts of a name, each in full and in brief, those in front in full as long as all of it is short enough."""
    for number in range(len(parts), -1, -1):
        text = "-".join([*(full for full, _ in parts[:number]), *(brief for _, brief in parts[number:])])
        text = re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip("-.")
        if len(text) <= WORDS:
            return text
    return text[:WORDS].rstrip("-.")


def _listed(values: Iterable[Any], noun: str, prefix: str = "") -> tuple[str, str]:
    """Values in order, and how many there are."""
    ordered = sorted({_text(value) for value in values}, key=natural)
    brief = f"{len(ordered)}{noun}" if len(ordered) > 1 else f"{prefix}{ordered[0]}"
    return (f"{prefix}{'-'.join(ordered)}" if len(ordered) <= _SHOWN else brief), brief


def _text(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _sizes(cells: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """The budgets, kind by kind, and the widths of cells without one."""
    budgets: dict[str, set[float]] = {}
    for cell in cells:
        if cell.requested is not None:
            kind = "" if cell.requested.kind == "params" else f"-{cell.requested.kind}"
            scope = "-conv" if cell.requested.scope == "conv" else ""
            chip = f"-{cell.requested.chip}" if cell.requested.chip else ""
            budgets.setdefault(kind + scope + chip, set()).add(float(f"{cell.requested.target:.2g}"))
    for kind, targets in sorted(budgets.items()):
        texts = [short(target) for target in sorted(targets)]
        brief = texts[0] if len(texts) == 1 else f"{texts[0]}-to-{texts[-1]}"
        yield ("-".join(texts) if len(texts) <= _SHOWN else brief) + kind, brief + kind
    widths = sorted({cell.width for cell in cells if cell.requested is None and cell.width is not None})
    if widths:
        brief = f"w{widths[0]}" if len(widths) == 1 else f"w{widths[0]}-to-{widths[-1]}"
        yield f"w{'-'.join(map(str, widths))}" if len(widths) <= _SHOWN else brief, brief


def _axes(cells: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """What else differs among cells of one model: kernels, blocks, length of training, settings."""
    by_model: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for cell in cells:
        facts = {"block": cell.block, "kernel": cell.kernel, "split": cell.split, "precision": cell.precision}
        length = {"stop": cell.stop.by, cell.stop.by: cell.stop.target} if cell.stop else {}
        by_model.setdefault((cell.model, cell.arch, cell.label.experiment), []).append(
            facts | length | dict(cell.settings)
        )
    names = dict.fromkeys(name for group in by_model.values() for facts in group for name in sorted(facts))
    for name in names:
        values = [[_text(facts[name]) for facts in group if facts.get(name) is not None] for group in by_model.values()]
        if any(len(set(texts)) > 1 for texts in values):
            tail = name.rpartition(".")[2]
            if name == "model.pattern":  # a list of all slots
                patterns = f"{len({text for texts in values for text in texts})}patterns"
                yield patterns, patterns
                continue
            yield _listed([text for texts in values for text in texts], tail, tail)

"""How a sweep was measured, in words: protocol, recipe, budget, machine, versions, commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dsbench.numerals import listed
from dsbench.sweep.collect import plain, settings

if TYPE_CHECKING:
    import pandas as pd

_SPLITS = {
    "standard": "validation images are held out of the training set; whatever is chosen is chosen on them, and the "
    "test images are used once",
    "study": "as the published study has it: all training images train, and the test images are the validation images",
}
_WEIGHTS = {"best": "those of the best validation accuracy", "last": "those of the last epoch"}


def how(name: str, asked: Mapping[str, Any], runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What was done and with what, a pair of heading and text each; what differs between runs is listed.

    `asked` is what sweep.yaml holds, `runs` the table of runs.
    """
    begun = runs[runs["started"].notna()]
    said = {
        "study": _values(runs, "study"),
        "data": _values(runs, "data"),
        "split": "; ".join(_SPLITS.get(str(split), str(split)) for split in runs["split"].dropna().unique()),
        "tested weights": "; ".join(_WEIGHTS.get(str(one), str(one)) for one in runs["test_weights"].dropna().unique()),
        "seeds": _seeds(runs),
        "budget": _budgets(runs),
        "recipe": _recipe(runs),
        "precision": _values(runs, "precision"),
        "device": _values(begun, "device"),
        "threads a run": _values(begun, "threads"),
        "runs at once": _values(begun, "n_jobs") if "n_jobs" in begun else "",
        "time": f"{asked['started']} to {asked['finished'] or 'now: not every run has ended'}",
        "code": _values(begun, "git_sha"),
        "versions": ", ".join(f"{package} {version}" for package, version in asked["versions"].items()),
    }
    commands = {"to repeat it": _command(asked["arguments"]), "to make this page anew": f"dsbench report {name}"}
    return [(heading, text) for heading, text in (said | commands).items() if text]


def _command(arguments: Sequence[str]) -> str:
    return f"python sweep.py {shlex.join(arguments)}"


def _values(table: pd.DataFrame, column: str) -> str:
    found = [str(value) for value in table[column].dropna().unique()]
    return listed(found) if found else ""


def _seeds(runs: pd.DataFrame) -> str:
    seeds = sorted({int(seed) for seed in runs["seed"].dropna()})
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else listed(seeds) if seeds else ""


def _budgets(runs: pd.DataFrame) -> str:
    """Each target that was asked for, with how far its networks are off at the most."""
    out = []
    columns = ["requested_kind", "requested_scope", "requested_target"]
    for key, some in runs.dropna(subset=["requested_target"]).groupby(columns, sort=False, dropna=False):
        kind, scope, target = key
        off = some["requested_residual"].abs().max()
        part = " of the slots' convolutions" if scope == "conv" else ""
        out.append(f"{target:,.6g} {kind}{part} (off by {100 * off:.2g} % at the most)")
    return "; ".join(out) or "none asked for"


def _recipe(runs: pd.DataFrame) -> str:
    """The settings that all runs share."""
    rows = plain(runs[settings(runs)])
    shared = (
        {name: rows[0][name] for name in rows[0] if all(row[name] == rows[0][name] for row in rows)} if rows else {}
    )
    return ", ".join(f"{name}={value}" for name, value in shared.items() if value is not None)

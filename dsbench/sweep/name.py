"""What a sweep is called: the same sweep, asked for again or with more seeds, has the same name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from dsbench.config.schema import SWEEPS_OWN
from dsbench.config.sweep import key
from dsbench.run.identity import OUTSIDE

_HOW = ("hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials")  # where runs are trained, how many are tried


def sweep_name(named: str | None, changes: Sequence[str], cells: Iterable[str]) -> str:
    """The name of a sweep: that of its file, a hash of its `cells` (cell_ids), or both.

    `named` is the sweep's file, if it has one; the hash comes on top where there are `changes` to what it runs.
    """
    digest = hashlib.sha256(" ".join(sorted(cells)).encode()).hexdigest()[:8]
    if named is None:
        return digest
    return f"{named}-{digest}" if changes else named


def deciding(arguments: Sequence[str]) -> list[str]:
    """Those of `arguments` that change which cells a sweep runs."""
    return [one for one in arguments if key(one) not in {"seed", "sweep", *SWEEPS_OWN} and not _outside(key(one))]


def _outside(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in (*OUTSIDE, *_HOW))

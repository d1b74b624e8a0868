"""A verdict as plain data, as JSON holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from dsbench.verdict.answers import Measure
from dsbench.verdict.better import Better
from dsbench.verdict.judge import Verdict
from dsbench.verdict.judged import Judged, Pair
from dsbench.verdict.matching.groups import Group
from dsbench.verdict.overall import InGroup, Overall

_DERIVED: dict[type, tuple[str, ...]] = {  # what follows from the fields and is wanted all the same
    Measure: ("ratio",),
    Better: ("answer", "seeds_to_settle"),
    Pair: ("answers",),
    Judged: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    InGroup: ("asked", "answers"),
    Overall: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    Verdict: ("unfinished",),
}


def plain(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, answers as text, numbers that JSON has not as None.

    Cells stand once, in the verdict's `cells`, and groups once, in its `groups`; others name them.
    """
    if is_dataclass(value) and not isinstance(value, type):
        names = [*(field.name for field in fields(value)), *_DERIVED.get(type(value), ())]
        named = _named(value)
        return {name: plain(named[name] if name in named else getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(value: Any) -> dict[str, Any]:
    """The fields that name what stands elsewhere."""
    if isinstance(value, Group):
        return {"cells": [cell.label for cell in value.cells]}
    if isinstance(value, InGroup):
        return {"group": value.group.name, "compared": [(pair.reference, pair.candidate) for pair in value.pairs]}
    return {}

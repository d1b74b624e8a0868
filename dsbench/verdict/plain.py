"""A verdict as plain data, as JSON holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from dsbench.verdict.answers import Measure
from dsbench.verdict.better import Better
from dsbench.verdict.groups import Group
from dsbench.verdict.judge import Pair, Verdict
from dsbench.verdict.overall import InGroup

_DERIVED: dict[type, tuple[str, ...]] = {  # what follows from the fields and is wanted all the same
    Measure: ("ratio",),
    Better: ("answer",),
    Pair: ("answers",),
    InGroup: ("answer",),
    Verdict: ("unfinished",),
}


def plain(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, answers as text, numbers that JSON has not as None.

    Cells stand once, in the verdict's `cells`; a group names them by label.
    """
    if is_dataclass(value) and not isinstance(value, type):
        names = [*(field.name for field in fields(value)), *_DERIVED.get(type(value), ())]
        found = {name: plain(getattr(value, name)) for name in names}
        return found | {"cells": [cell.label for cell in value.cells]} if isinstance(value, Group) else found
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

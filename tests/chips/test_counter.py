"""What a runtime that crashes takes with it when a budget asks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashing import Crashing

from dsbench.chips.counter import counter
from dsbench.chips.litert import Litert
from dsbench.chips.names import RUNTIMES
from dsbench.errors import FailureError


@pytest.mark.skipif(Litert.missing() is not None, reason=str(Litert.missing()))
def test_a_runtime_that_crashes_is_one_line_with_what_it_said_and_nothing_is_kept(
    tmp_path: Path, named: Callable[[str], Any]
) -> None:
    chip = Crashing(name="mine", precisions=("fp32",), bad="")
    with (
        counter(chip, tmp_path) as asked,
        pytest.raises(FailureError, match=r"^crashing failed: its process ended \(check failed: arena\)$"),
    ):
        asked.counts(named("arch=mnist_7800_shallow width=4 data=mnist5k"))
    assert not (tmp_path / "chips").exists()


def test_what_a_budget_may_set_has_words() -> None:
    from dsbench.quantities import ON_CHIP

    known = {quantity.name for quantity in ON_CHIP}
    assert all({*kind.costs} <= known for kind in RUNTIMES.values())

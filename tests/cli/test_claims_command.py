"""`dsbench claims`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_claims_are_held_against_the_runs_that_there_are(
    call: Call, trained: Callable[..., dict[str, Any]], outputs: Path
) -> None:
    trained("experiment=mnist_7800/cnn train.max_epochs=1")
    ended = call("dsbench", "claims", "mnist_7800", f"--outputs={outputs}", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = {one["claim"]: (one["verdict"], one["measured"]) for one in json.loads(ended.out)}
    assert found["The conventional network has 7,800 parameters"] == ("holds", "7,800, counted")
    faster = found["Faster: at the same parameters it trains in less time an epoch"]
    assert faster == ("not tested", "no finished run of dwsep_same_budget")
    shown = call("dsbench", "claims", "mnist_7800", f"--outputs={outputs}")
    assert "changed recipe: mnist_7800/cnn (modified: data, train.max_epochs)" in shown.out


def test_claims_are_shown_where_there_is_no_run(call: Call, outputs: Path) -> None:
    ended = call("dsbench", "claims", "cifar10_vgg", f"--outputs={outputs}")
    assert ended.code == 0
    assert "7 not tested" in ended.out


def test_an_unknown_study_is_one_line(call: Call, outputs: Path) -> None:
    ended = call("dsbench", "claims", "mnist_7801", f"--outputs={outputs}")
    assert (ended.code, ended.err) == (2, "error: unknown study 'mnist_7801'; did you mean 'mnist_7800'?\n")

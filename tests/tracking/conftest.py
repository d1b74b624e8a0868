"""Offline runs of W&B and a server that takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb_server import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """W&B on this machine, with a login for it."""
    with serving() as local:
        monkeypatch.setenv("WANDB_BASE_URL", local.url)
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        yield local


@pytest.fixture
def logger() -> Any:
    """The configuration of an offline logger."""
    from dsbench.config.schema import WandbConfig

    return WandbConfig(name="wandb", mode="offline", project="dsbench", entity=None, group=None, tags=[])


@pytest.fixture
def logged(outputs: Path, logger: Any) -> Callable[..., None]:
    """Leaves finished offline runs of three epochs, with validation accuracies .1, .2 and .3, and no training."""
    from dsbench.tracking.tracker import Card
    from dsbench.tracking.wandb import WandbTracker

    def log(*run_ids: str) -> None:
        outputs.mkdir(exist_ok=True)
        for run_id in run_ids:
            card = Card(run_id, f"name of {run_id}", "group", ("tag",), {"width": 8}, config="width: 8\n")
            tracker = WandbTracker(logger, outputs, card)
            same = dict.fromkeys(
                ("train_loss", "train_acc", "val_loss", "lr", "images_per_second", "epoch_seconds"), 1.0
            )
            for epoch in (1, 2, 3):
                tracker.epoch({"epoch": epoch, "val_acc": epoch / 10, **same})  # type: ignore[typeddict-item]
            tracker.finish({"test_acc": 0.5}, None, failed=False)

    return log

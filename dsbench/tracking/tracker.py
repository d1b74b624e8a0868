"""The protocol of trackers, the choice by logger=, and the guard that keeps their failures from stopping the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dsbench.config.schema import Config, WandbConfig
from dsbench.tracking.server import mode
from dsbench.training.history import Epoch

log = logging.getLogger("dsbench")


@dataclass(frozen=True)
class Card:
    """The facts of a run that a tracker shows beside its metrics: its id, and names to search it by.

    `facts` are what runs are sorted and filtered by, flat; `hparams` those in which runs differ: numbers, texts and
    truth values. `config` is the whole configuration, as YAML.
    """

    run_id: str
    name: str
    group: str
    tags: tuple[str, ...]
    facts: dict[str, Any]
    hparams: dict[str, Any] = field(default_factory=dict)
    config: str = ""


class Tracker(Protocol):
    """A mirror of one run."""

    def epoch(self, row: Epoch) -> None:
        """Show the metrics of one epoch."""

    def finish(self, summary: dict[str, Any], confusion: list[list[int]] | None, failed: bool) -> None:
        """Show the result and close. Called once, however the run ended."""


class Nothing:
    """No tracker: the run has its own files alone."""

    def epoch(self, row: Epoch) -> None:
        """Show nothing."""

    def finish(self, summary: dict[str, Any], confusion: list[list[int]] | None, failed: bool) -> None:
        """Show nothing."""


class Guarded:
    """A tracker whose first failure is logged and ends the mirroring, never the run. It is closed all the same."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._broken = False

    def epoch(self, row: Epoch) -> None:
        """Show one epoch, if that still works."""
        if not self._broken:
            self._try(lambda: self.tracker.epoch(row))

    def finish(self, summary: dict[str, Any], confusion: list[list[int]] | None, failed: bool) -> None:
        """Show the result and close, as far as that still works."""
        self._try(lambda: self.tracker.finish(summary, confusion, failed))

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # of a tracker; the run goes on
            if not self._broken:
                log.warning("the tracker failed and shows no more of this run: %s", error)
            self._broken = True


def open_tracker(config: Config, outputs: Path, card: Card, history: list[Epoch]) -> Tracker:
    """The tracker that logger= names, with the epochs of `history` in it.

    What an unfinished attempt at the same run left there is removed, so that a single complete run remains.
    """
    try:
        guarded = Guarded(_open(config, outputs, card))
    except Exception as error:  # of a tracker; the run goes on
        log.warning("the tracker could not be opened and shows nothing of this run: %s", error)
        return Nothing()
    for row in history:
        guarded.epoch(row)
    return guarded


def _open(config: Config, outputs: Path, card: Card) -> Tracker:
    if isinstance(config.logger, WandbConfig) and mode(config.logger.mode) != "disabled":
        from dsbench.tracking.wandb import WandbTracker

        return WandbTracker(config.logger, outputs, card)
    if config.logger.name == "tensorboard":
        from dsbench.tracking.tensorboard import TensorboardTracker

        return TensorboardTracker(outputs, card)
    return Nothing()


def check(config: Config) -> None:
    """Raise InputError where the tracker that logger= names cannot work here."""
    if isinstance(config.logger, WandbConfig):
        from dsbench.tracking.wandb import check_settings

        check_settings(config.logger)
    elif config.logger.name == "tensorboard":
        from dsbench.tracking.tensorboard import check_installed

        check_installed()

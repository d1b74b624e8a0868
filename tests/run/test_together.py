"""Runs that are trained as one program: each has its own record, files, checkpoints, tracker and failure."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dsbench.errors import InputError
from dsbench.run import train
from dsbench.run.execute import execute, execute_together
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import Interrupted, TimedOut
from dsbench.run.lock import LostLeaseError, claim, latest, locked, this_process
from dsbench.run.plan import Plan, with_seed
from dsbench.run.progress import Progress
from dsbench.run.record import Record, Status
from dsbench.training.classifier import Classifier

LINE = "arch=mnist_7800_shallow width=1 train.max_epochs=2 data.augment.crop_padding=2"
CLOCKS = {"images_per_second", "epoch_seconds", "train_seconds", "started", "finished", "attempts", "fused"}
NEAR = 0.01  # seeds come to losses and accuracies ten times as far apart
Planned = Callable[[str], Any]
Ran = Callable[[str], tuple[Any, dict[str, Any]]]
Seeds = Callable[..., list[Plan]]


@pytest.fixture
def seeds(planned: Planned) -> Seeds:
    """The plans of a line with seeds from 0."""
    return lambda count=3, line=LINE: [with_seed(planned(line), seed) for seed in range(count)]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each program trained, in their order."""
    counts: list[int] = []
    fit = train.fit

    def spy(trainings: Any, *others: Any) -> Any:
        counts.append(len(trainings))
        return fit(trainings, *others)

    monkeypatch.setattr(train, "fit", spy)
    return counts


class View(Progress):
    """Calls `act` once an epoch that is `number`, from 1, is done."""

    def __init__(self, act: Callable[[], None] = lambda: None, number: int = 1) -> None:
        super().__init__("none")
        self.act, self.number = act, number

    def epoch(self, row: Any) -> None:
        super().epoch(row)
        if row["epoch"] == self.number:
            self.act()


def together(plans: Sequence[Plan], **views: Progress) -> list[Any]:
    """What the plans end as; `s1` is the view of seed 1."""
    return execute_together(plans, [views.get(f"s{seed}", View()) for seed in range(len(plans))])


def stopped(plan: Plan, epochs: int) -> None:
    """Train a run alone until it is stopped after so many epochs."""

    def stop() -> None:
        raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        execute(plan, View(stop, epochs))


def rows(plan: Plan) -> list[dict[str, float]]:
    with plan.folder.metrics_file.open() as file:
        return [{key: float(text) for key, text in row.items() if key not in CLOCKS} for row in csv.DictReader(file)]


def assert_as_alone(plans: Sequence[Plan], records: Sequence[Record], ran: Ran, line: str = LINE) -> None:
    """Each has come to what it comes to when it trains alone, undisturbed: in every fact, and in results but for
    rounding."""
    for plan, record in zip(plans, records, strict=True):
        alone, plain = ran(f"{line} seed={plan.config.seed}")
        expected = Record.of(plain)
        assert record.result is not None
        assert expected.result is not None
        result, due = asdict(record.result), asdict(expected.result)
        for name in due.keys() - CLOCKS - {"test_class_acc"}:
            assert result[name] == pytest.approx(due[name], abs=NEAR), name
        apart = CLOCKS | due.keys()
        facts = {name: value for name, value in record.plain().items() if name not in apart}
        assert facts == {name: value for name, value in plain.items() if name not in apart}
        for row, other in zip(rows(plan), rows(alone), strict=True):
            assert row == pytest.approx(other, abs=NEAR)
        right, due_right = plan.folder.correct(), alone.folder.correct()
        assert right is not None
        assert due_right is not None
        assert np.mean(right != due_right) < NEAR
        assert np.abs(np.array(plan.folder.confusion()) - np.array(alone.folder.confusion())).sum() < 20
        mine, others = (torch.load(of.folder.last, weights_only=True)["state_dict"] for of in (plan, alone))
        assert mine.keys() == others.keys()
        for name, value in others.items():
            torch.testing.assert_close(mine[name], value, atol=NEAR, rtol=0)


def test_runs_of_a_group_come_to_what_they_come_to_alone(seeds: Seeds, ran: Ran, programs: list[int]) -> None:
    plans = seeds()
    records = together(plans)
    assert programs == [3]
    assert [(record.fused, record.attempts) for record in records] == [(3, 1)] * 3
    assert ran(f"{LINE} seed=0")[1]["fused"] == 1
    assert_as_alone(plans, records, ran)
    for plan, record in zip(plans, records, strict=True):
        assert json.loads(plan.folder.result_file.read_text()) == json.loads(record.to_json())
        assert plan.folder.log_file.read_text().count("epoch   2") == 1  # its own, and none of the others
    programs.clear()
    assert [record.finished for record in together(plans)] == [record.finished for record in records]
    assert programs == []


def test_a_run_that_is_done_is_taken_up_and_the_rest_is_a_group(seeds: Seeds, ran: Ran) -> None:
    plans = seeds()
    done = execute(plans[1], View())
    records = together(plans)
    assert [record.fused for record in records] == [2, 1, 2]
    assert records[1].finished == done.finished
    assert_as_alone(plans, records, ran)


def test_what_goes_wrong_with_one_run_is_its_own(seeds: Seeds, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is none, a disk that takes no more rows, and one that takes no second checkpoint."""
    plans = seeds(4)
    no_folder, rows_file, checkpoint = plans[1].folder.path, plans[2].folder.metrics_file, plans[3].folder.last
    no_folder.parent.mkdir(parents=True)
    no_folder.touch()
    replace, times = os.replace, dict.fromkeys((str(rows_file), str(checkpoint)), 0)

    def full(source: Any, target: Any) -> None:
        if str(target) in times:
            times[str(target)] += 1
            if times[str(target)] > 1:
                raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        records = together(plans)
    assert records[0].status == Status.DONE
    assert isinstance(records[1], InputError)
    for plan, error in zip(plans[2:], records[2:], strict=True):
        record = plan.folder.result()
        assert isinstance(error, OSError)
        assert record is not None
        assert (record.status, record.error) == ("failed", "[Errno 28] No space left on device")
        assert "Traceback" in plan.folder.log_file.read_text()
    assert "Traceback" not in plans[0].folder.log_file.read_text()

    no_folder.unlink()
    assert_as_alone(plans, together(plans), ran)


@pytest.mark.parametrize(
    ("line", "sent", "status"), [("", signal.SIGTERM, "interrupted"), (" timeout=600", signal.SIGALRM, "timeout")]
)
def test_all_that_train_are_stopped_with_a_checkpoint_of_one_step_and_go_on(
    line: str,
    sent: signal.Signals,
    status: str,
    seeds: Seeds,
    ran: Ran,
    programs: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans, step, steps = seeds(line=LINE + line), Classifier.training_step, []

    def asked_in_the_seventh(self: Classifier, batch: Any, batch_idx: int) -> None:
        step(self, batch, batch_idx)
        steps.append(batch_idx)
        if len(steps) == 7:
            os.kill(os.getpid(), sent)
            time.sleep(0.01)

    monkeypatch.setattr(Classifier, "training_step", asked_in_the_seventh)
    if status == "timeout":
        assert [type(ended) for ended in together(plans)] == [TimedOut] * 3
    else:
        with pytest.raises(Interrupted, match="SIGTERM"):
            together(plans)
    for plan in plans:
        record = plan.folder.result()
        assert record is not None
        assert (record.status, record.attempts, record.fused) == (status, 1, 3)
        within = torch.load(plan.folder.last, weights_only=True)["within_epoch"]
        assert len(within["train"]["sizes"]) == 7
    records = together(plans)
    assert programs == [3, 3]
    assert [record.attempts for record in records] == [2, 2, 2]
    assert_as_alone(plans, records, ran)


def test_runs_whose_checkpoints_stand_at_different_steps_go_on_in_as_many_programs(
    seeds: Seeds, ran: Ran, programs: list[int]
) -> None:
    """As a kill between the checkpoints of two runs leaves them; one of these is damaged."""
    plans = seeds(4)
    for plan, epochs in zip(plans, (1, 1, 2, 1), strict=True):
        stopped(plan, epochs)
    plans[3].folder.last.write_bytes(b"half")
    programs.clear()
    records = together(plans)
    assert programs == [2, 1, 1]
    assert [record.fused for record in records] == [2, 2, 1, 1]
    assert_as_alone(plans, records, ran)


def test_a_run_that_another_process_takes_over_leaves_the_group(seeds: Seeds, ran: Ran) -> None:
    plans = seeds()
    folder = plans[1].folder

    def take_over() -> None:
        claim(folder.path, latest(folder.path), this_process("elsewhere"))

    records = together(plans, s0=View(take_over))
    assert isinstance(records[1], LostLeaseError)
    assert folder.result().status == Status.RUNNING  # type: ignore[union-attr]
    assert not rows(plans[1])
    assert_as_alone([plans[0]], [records[0]], ran)
    assert records[2].status == Status.DONE


def test_a_run_that_another_process_has_is_waited_for_when_the_others_are_done(seeds: Seeds, ran: Ran) -> None:
    plans, waited = seeds(), []
    plans[1].folder.create()

    class Waiting(View):
        def waiting(self, folder: Path, owner: Any) -> None:
            others = [RunFolder(plan.folder.path).result() for plan in (plans[0], plans[2])]
            waited.append([record.status for record in others if record is not None])
            other_process.close()

    with ExitStack() as other_process:
        other_process.enter_context(locked(plans[1].folder.path, lambda *_: None))
        records = together(plans, s1=Waiting())
    assert waited == [["done", "done"]]
    assert [record.fused for record in records] == [2, 1, 2]
    assert_as_alone(plans, records, ran)


@pytest.mark.parametrize("at_most", [2, 0])
def test_a_group_that_is_too_large_for_the_device_is_tried_in_halves(
    at_most: int, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, tried = train.fit, []

    def short(trainings: Any, *others: Any) -> Any:
        tried.append(len(trainings))
        if len(trainings) > at_most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nAnd advice")
        return fit(trainings, *others)

    monkeypatch.setattr(train, "fit", short)
    plans = seeds(4)
    ended = together(plans)
    if at_most:
        assert tried == [4, 2, 2]
        assert [(record.status, record.fused, record.attempts) for record in ended] == [("done", 2, 2)] * 4
    else:
        assert tried == [4, 2, 1, 1, 2, 1, 1]
        recorded = [plan.folder.result() for plan in plans]
        reasons = [(record.status, str(record.error).partition(":")[0]) for record in recorded if record]
        assert reasons == [("failed", "out of memory")] * 4


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_run_that_diverges_does_so_alone_and_its_neighbours_come_to_what_they_come_to_alone(
    seeds: Seeds,
    ran: Ran,
    programs: list[int],
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
) -> None:
    """In bf16 some processors compute three channels with one of the next network, so that all are NaN with it."""
    line = f"arch=mnist_7800_shallow width=3 train.max_epochs=2 train.batch_size=500 precision={precision}"
    step = Classifier.training_step

    def spoilt(self: Classifier, batch: range, batch_idx: int) -> None:
        of = [member.training.config.seed for member in self.members]
        if 2 in of and self.current_epoch == 1 and 2 in batch:
            weight = next(self.network.parameters())
            with torch.no_grad():
                (weight[of.index(2)] if of[1:] else weight).fill_(torch.nan)
        step(self, batch, batch_idx)

    plans = seeds(3, line)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", spoilt)
        records = together(plans)
    assert programs == [3, 1] or (precision == "bf16" and programs == [3, 1, 2, 1, 1])
    assert [record.status for record in records] == ["done", "done", "diverged"]
    assert [record.fused for record in records] == [3, 3, 3]
    assert (records[2].result.epochs, records[2].result.test_acc) == (2, None)
    told = [plan.folder.log_file.read_text() for plan in plans]
    assert "no longer finite" in told[2]
    assert ("no longer finite" in told[0]) == (programs != [3, 1])
    assert "Traceback" not in "".join(told)
    assert_as_alone(plans[:2], records[:2], ran, line)


def test_every_run_of_a_group_has_a_run_of_its_own_in_its_tracker(
    seeds: Seeds, outputs: Path, inspected: Callable[..., Any]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plans = seeds(2, f"{LINE} logger=wandb")
    together(plans)
    for plan in plans:
        (folder,) = (outputs / "wandb").glob(f"offline-run-*-{plan.run_id}")
        shown = inspected(records=True, folder=folder)
        items = [record["history"]["item"] for record in shown if record["type"] == "history"]
        epochs = [item for item in items if "acc/val" in item]
        assert [item["acc/val"] for item in epochs] == [row["val_acc"] for row in rows(plan)]
        assert any(record["type"] == "exit" for record in shown)

    shutil.rmtree(outputs / "runs")
    plans = seeds(2, f"{LINE} logger=tensorboard")
    together(plans)
    for plan in plans:
        events = EventAccumulator(str(outputs / "tensorboard" / plan.run_id)).Reload().Scalars("val_acc")
        assert [event.value for event in events] == pytest.approx([row["val_acc"] for row in rows(plan)])


def test_lines_of_a_group_name_their_run(seeds: Seeds) -> None:
    plans = seeds(2, f"{LINE} train.max_epochs=1")
    console = Console(file=io.StringIO(), width=200)
    execute_together(plans, [Progress("lines", console, f"seed {seed}") for seed in (0, 1)])
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert sorted(line[1] for line in lines if line[2:3] == ["epoch"]) == ["0", "1"]
    assert [line[1:] for line in lines if line[0] == "of"].count(["seed", "1"]) == 2  # as it starts and when it is done

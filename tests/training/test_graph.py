"""Steps that find everything on the device, recorded once and replayed, against steps that the host leads.

On a CPU a recorder stands for the CUDA graph that runs the recorded step again; tests/gpu has the graph itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from dsbench.errors import FailureError, InputError
from dsbench.run.interrupts import Interrupted
from dsbench.training import fit, program
from dsbench.training.batches import Batches, PixelScale
from dsbench.training.graph import cannot, check, without_graph
from dsbench.training.program import Recorder
from dsbench.training.stop import AfterSeconds, AfterSteps

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

LAYERS = "[{conv:{width:1}},max_pool,norm,{dropout:0.3},{conv:{width:2}},max_pool,flatten,{linear:classes}]"
NETWORK = f"width=2 arch.layers={LAYERS} train.batch_size=7"  # 45 images: six steps of 7 and a last one of 3
LINE = f"{NETWORK} train.max_epochs=3"
AUGMENTED = "data.augment.crop_padding=2 data.augment.cutout=6"
CASES = {
    "sgd": "",
    "everything drawn, clipped": f"{AUGMENTED} train.grad_clip_norm=0.5 train.label_smoothing=0.1 schedule=cosine",
    "adam": "optimizer=adam",
    "adamw in bf16, clipped": "optimizer=adamw precision=bf16 train.grad_clip_norm=0.5",
    "rmsprop": "optimizer=rmsprop optimizer.momentum=0.5 schedule=exponential",
    "an end within an epoch": "stop.by=train_macs stop.target={target}",
}


class Twin:
    """Records by keeping the function, which then does the same to the same memory, whatever has changed in Python."""

    def __init__(self, refuses: Callable[[], bool] = lambda: False) -> None:
        self.refuses, self.warm, self.recorded, self.replayed = refuses, 0, 0, 0
        self.drawing: list[int] = []  # from how many generators beside torch's own each recording draws

    def warm_up(self, function: Callable[[], None]) -> None:
        self.warm += 1
        function()

    def record(self, function: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        self.drawing.append(len(generators))
        if self.refuses():
            try:
                raise RuntimeError("operation not permitted when stream is capturing\nand more")
            except RuntimeError:  # as leaving the capture of a CUDA graph does
                raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            function()

        return replay

    def pace(self) -> None:
        pass


Recorded = Callable[..., tuple[dict[str, Any], Twin]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, trained: Train) -> Recorded:
    """Trains with a twin, on a CPU."""

    def run(line: str, twin: Recorder | None = None, **options: Any) -> tuple[dict[str, Any], Any]:
        twin = twin or Twin()
        with monkeypatch.context() as patch:
            patch.setattr(fit, "_recorder", lambda *_: twin)
            return trained(line, **options), twin

    return run


def states(plan: Any) -> dict[str, Any]:
    """What both checkpoints hold, apart from how Lightning counts."""
    out = {}
    for name in ("last", "best"):
        saved = torch.load(getattr(plan.folder, name), weights_only=True)
        history = [{k: v for k, v in row.items() if "second" not in k} for row in saved["history"]]
        out[name] = {"weights": saved["state_dict"], "optimizer": saved.get("optimizer_states"), "history": history}
    return out


def assert_same(actual: Any, expected: Any) -> None:
    """The same structure, and the same bits in it."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected)
    else:
        assert type(actual) is type(expected)
        assert actual == expected


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_replayed_steps_come_to_the_bits_of_steps_that_the_host_leads(
    recorded: Recorded,
    trained: Train,
    planned: Planned,
    outputs: Any,
    few: str,
    case: str,
) -> None:
    """Losses, counts, weights and what the optimizer keeps: both do the same arithmetic in the same order."""
    target = 3 * planned(f"{LINE} {few}").cost.macs * (45 + 4 * 7)
    line = f"{NETWORK if 'stop' in case else LINE} {few} {case.format(target=target)}"
    record, twin = recorded(line)
    led_line = f"{line} outputs={outputs}-led"
    led = trained(led_line)
    assert_same(states(planned(line)), states(planned(led_line)))
    assert (record["graph"], led["graph"]) == (True, False)
    assert record["test_loss"] == led["test_loss"]
    # of training the full batch and the last one, of validation one; each is warmed up before it is recorded
    assert (twin.recorded, twin.warm) == (3, 3 * program.WARM_UPS)
    assert twin.replayed == (7 + 4 + 2 if "stop" in case else 3 * 7 + 3)


def test_a_replayed_epoch_that_is_interrupted_goes_on_with_the_host_in_the_lead_and_the_other_way_round(
    recorded: Recorded, trained: Train, planned: Planned, outputs: Any, few: str
) -> None:
    line = f"{LINE} {few} {AUGMENTED} optimizer=adam train.checkpoint_minutes=1e-9"
    undisturbed = f"{line} outputs={outputs}-undisturbed"
    trained(undisturbed)
    for name, first, second in (("first", recorded, trained), ("second", trained, recorded)):
        other = f"{line} outputs={outputs}-{name}"
        with pytest.raises(Interrupted):
            first(other, stop_at=(2, 3))
        saved = torch.load(planned(other).folder.last, weights_only=True)
        assert 0 < len(saved["within_epoch"]["train"]["sizes"]) < 7
        second(other)
        assert_same(states(planned(other)), states(planned(undisturbed)))


def test_what_cannot_be_recorded_is_done_with_the_host_in_the_lead_and_said(
    recorded: Recorded,
    trained: Train,
    planned: Planned,
    outputs: Any,
    few: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = f"{LINE} {few} {AUGMENTED}"
    led = f"{line} outputs={outputs}-led"
    trained(led)
    calls = iter((False, True))
    record, _ = recorded(line, Twin(lambda: next(calls)))  # the last, smaller batch cannot be
    assert record["graph"] is False
    assert_same(states(planned(line)), states(planned(led)))
    assert "operation not permitted when stream is capturing" in caplog.text


def test_memory_that_runs_out_in_a_capture_ends_the_run(recorded: Recorded, few: str) -> None:
    def refuses() -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(FailureError, match=r"^out of memory: "):
        recorded(f"{LINE} {few}", Twin(refuses))


def test_a_graph_on_a_cpu_is_one_line_and_decides_nothing_of_the_run(planned: Planned) -> None:
    with pytest.raises(InputError, match=r"^train.graph=true needs a CUDA device, this run is on cpu; choose auto or"):
        planned(f"{LINE} train.graph=true")
    with pytest.raises(InputError, match=r"^unknown train.graph 'maybe'; choose one of auto, true, false$"):
        planned(f"{LINE} train.graph=maybe")
    assert planned(f"{LINE} train.graph=false").run_id == planned(LINE).run_id


def test_memory_that_runs_out_before_a_step_is_recorded_ends_the_run(
    recorded: Callable[..., tuple[dict[str, Any], Twin]], planned: Planned, few: str
) -> None:
    """What goes wrong then would without a recorder too: going on would be from weights that have moved already."""

    class Full(Twin):
        def warm_up(self, function: Callable[[], None]) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(FailureError, match="out of memory: training needs"):
        recorded(f"{LINE} {few}", Full())
    assert planned(f"{LINE} {few}").folder.result().status == "failed"


def test_the_steps_of_a_group_are_recorded_with_the_generators_that_they_draw_from(
    planned: Planned, outputs: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each member's dropout; a CUDA graph that is not told of them cannot be captured."""

    def trained(folder: str, twin: Twin | None) -> list[Any]:
        line = f"{LINE} {few} {AUGMENTED} train.grad_clip_norm=0.5 outputs={outputs}-{folder}"
        plans = [planned(f"{line} seed={seed}") for seed in (3, 1)]
        for plan in plans:
            plan.prepare()
            plan.folder.create()
        monkeypatch.setattr(fit, "_recorder", lambda *_: twin)
        ended = fit.fit([plan.training for plan in plans], lambda *_: None)
        assert [isinstance(one, fit.Fitted) and one.graph for one in ended] == 2 * [twin is not None]
        return [states(plan) for plan in plans]

    twin = Twin()
    assert_same(trained("recorded", twin), trained("led", None))
    assert twin.drawing == [2, 2, 0]  # the full batch and the last one of training; validation draws nothing


STEPS, SECONDS = AfterSteps(100, 10), AfterSeconds(5.0)


@pytest.mark.parametrize(
    ("precision", "end", "why"),
    [("32", STEPS, None), ("bf16", STEPS, None), ("16", STEPS, "precision=16"), ("32", SECONDS, "stop.by=seconds")],
)
def test_a_recipe_that_needs_the_host_is_not_captured(precision: str, end: Any, why: str | None) -> None:
    reason = cannot(precision, end)
    assert reason is None if why is None else why in str(reason)
    given = without_graph("auto", precision, end, ())
    assert given == reason
    assert without_graph(False, precision, end, ()) == "train.graph=false"
    check("auto", "cuda", precision, end)
    if why is not None:
        with pytest.raises(InputError, match=f"train.graph=true: under {why}"):
            check(True, "cuda", precision, end)


def test_images_that_are_not_on_the_device_are_not_captured() -> None:
    """The device `meta` stands for the GPU."""
    device, rows = torch.device("meta"), torch.arange(4, device="meta")
    scale = PixelScale.of("raw", (0.0,), (1.0,))
    host, there = (
        Batches(torch.zeros(4, 6, 6, 1, dtype=torch.uint8, device=where), rows, rows, 2, scale)
        for where in ("cpu", device)
    )
    assert without_graph("auto", "32", STEPS, (there, there)) is None
    assert without_graph("auto", "32", STEPS, (there, host)) == "the images have no room in the GPU's memory"
    with pytest.raises(InputError, match=r"train\.graph=true: the images have no room"):
        without_graph(True, "32", STEPS, (host,))

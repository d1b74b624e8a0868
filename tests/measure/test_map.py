"""The map: what it measures first, what it leaves out, what a kill costs, and a small one from end to end."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.config.compose import compose
from dsbench.measure import explore as module
from dsbench.measure import roofline
from dsbench.measure.explore import explore
from dsbench.measure.identity import features
from dsbench.measure.map import CHANNELS, Area, Map, Where
from dsbench.measure.map_words import Words
from dsbench.measure.probes import SlotProbes
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import PHASES, Fillings, Point
from dsbench.measure.slot_times import held_out
from dsbench.measure.store import Store
from dsbench.statistics.crossing import crossings
from dsbench.training.device import Compute

Call = Callable[..., Any]
RATES = Rates(mm_flops=1e11, conv_flops=2e11, bandwidth=4e10)
WHERE = Where("cpu", "32", 1)
SLOTS = Fillings(block=vars(compose([]).config.block))
AREA = Area.of((3, 5), (1, 32), (8, 16), CHANNELS)


class Machine:
    """Stands for fresh processes, and the clock that they take their time by: `seconds` a pair, and 2 to start.

    The plain slot is faster up to 20 channels at 8x8 and up to 40 at 16x16, in inference up to half as many.
    """

    def __init__(self, seconds: float = 0.2) -> None:
        self.now, self.seconds, self.dies_after, self.measured = 0.0, seconds, math.inf, list[tuple[Any, int]]()

    def start(self, measure: Any, limit: float, end: float | None, *_: Any) -> Any:
        if len(self.measured) >= self.dies_after:
            raise KeyboardInterrupt
        self.now += 2.0
        if measure.func is not module.measure_pairs:
            return RATES
        pairs, _, within = measure.args
        begun, out = self.now, []
        for pair, batch in pairs:
            if self.now - begun <= within:
                self.now += self.seconds
                out.append(self.times(pair))
                self.measured.append((pair, batch))
        if end is not None and self.now > end:
            self.now = end
            return None
        return out, self.now - begun

    def times(self, pair: Any) -> dict[str, list[float]]:
        channels, side, _ = pair.plain.shape
        noise = 1 + 0.01 * math.sin(len(self.measured))
        equal = 20 * side / 8
        return {"training": [1.0, noise * equal / channels], "inference": [1.0, noise * equal / 2 / channels]}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(module, "in_fresh_process", made.start)
    monkeypatch.setattr(module.time, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "latency" / "map")


def test_the_boundary_is_found_before_gaps_are_filled(machine: Machine, store: Store) -> None:
    found = Map.read(AREA, SLOTS, WHERE, store)
    explore(found, 1.2)
    assert machine.now <= 1.2 * 60
    assert len(found.repeats) < 0.6 * len(list(AREA.points()))
    for column in AREA.columns:
        for phase, equal in (("training", 20), ("inference", 10)):
            expected = equal * column[2] / 8
            (crossing,) = crossings(found.column(column, phase))
            assert crossing.low <= expected <= crossing.high
            assert crossing.high < 1.1 * crossing.low, column  # neighbours on the grid are measured
    assert all(len(repeats) >= 3 for repeats in found.repeats.values())


def test_all_kernels_and_batches_are_covered_early(machine: Machine, store: Store) -> None:
    explore(Map.read(AREA, SLOTS, WHERE, store), 0.6)
    kernels = {(pair.plain.slot.body[0].kernel, batch) for pair, batch in machine.measured}
    assert kernels == {(3, 1), (3, 32), (5, 1), (5, 32)}
    assert {pair.plain.shape[1] for pair, _ in machine.measured[: len(AREA.columns)]} == {8, 16}
    assert machine.now <= 36


def test_a_map_that_is_killed_goes_on_where_it_was(machine: Machine, store: Store) -> None:
    machine.dies_after = 10
    with pytest.raises(KeyboardInterrupt):
        explore(Map.read(AREA, SLOTS, WHERE, store), 3.5)
    before = len(machine.measured)
    machine.dies_after = math.inf
    again = Map.read(AREA, SLOTS, WHERE, store)
    assert sum(map(len, again.repeats.values())) == before >= 10
    kept = {point: list(repeats) for point, repeats in again.repeats.items()}
    explore(again, 1)
    for point, repeats in kept.items():
        assert again.repeats[point][: len(repeats)] == repeats
        assert len(again.repeats[point]) >= 3  # what had begun comes first
    other = Map.read(AREA, SLOTS, Where("cpu", "bf16", 1), store)
    assert not other.repeats  # another precision is another map
    assert not Map.read(AREA, Fillings("params", {}, SLOTS.block), WHERE, store).repeats


def test_points_that_cost_too_much_are_left_out_by_name(
    machine: Machine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsbench.training.memory.limit_bytes", lambda _: 2**28)
    area = Area.of((3,), (1, 128), (16, 112), CHANNELS)
    found = Map.read(area, SLOTS, WHERE, store)
    explore(found, 1)
    asked = {Point(3, batch, *pair.plain.shape[1:2], pair.plain.shape[0]) for pair, batch in machine.measured}
    assert asked == found.repeats.keys()
    assert not asked & (found.too_long.keys() | found.too_large.keys())
    assert min(found.too_large.values()) > 2**27
    assert Point(3, 128, 112, 512) in found.too_large
    assert {point.side for point in asked} == {16, 112}


def test_on_a_busy_machine_fewer_points_are_begun_but_with_all_their_repeats(machine: Machine, store: Store) -> None:
    machine.seconds = 2.0
    found = Map.read(AREA, SLOTS, WHERE, store)
    explore(found, 4)
    assert machine.now <= 4 * 60
    counts = [len(repeats) for repeats in found.repeats.values()]
    assert sum(count >= 3 for count in counts) > 0.8 * len(counts) > 10


def test_the_first_round_of_a_process_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cold:
        """A slot whose first call in each phase is slow."""

        def __init__(self, *_: Any) -> None: ...

        def probe(self, phase: str, seconds: float) -> Callable[[], tuple[float]]:
            taken = iter([10.0])
            return lambda: (next(taken, 1.0),)

    monkeypatch.setattr("dsbench.measure.probes.SlotProbes", Cold)
    ((timed,), _) = module.measure_pairs([(SLOTS.pair(Point(3, 1, 8, 8)), 1)], WHERE, 1, 0.001)
    assert timed == {phase: [pytest.approx(1e3)] * 2 for phase in PHASES}


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_training_makes_the_gradients_of_the_input_and_of_the_weights(precision: str) -> None:
    filled = SLOTS.filled(3, 8, 4, separable=False)
    slot = SlotProbes(filled.layers, filled.shape, 2, Compute(torch.device("cpu"), "a CPU", precision, 1))
    dtype = {"32": torch.float32, "bf16": torch.bfloat16}[precision]
    for phase in PHASES:
        (seconds,) = slot.probe(phase, 0.001)()
        assert seconds > 0
    out = slot.inference()
    assert (out.requires_grad, out.dtype, out.shape) == (False, dtype, (2, 4, 8, 8))
    slot.probe("training", 0.001)
    gradients = slot.training()
    assert [tuple(one.shape) for one in gradients] == [(2, 4, 8, 8), (4, 4, 3, 3), (4,), (4,)]
    assert gradients[0].dtype == dtype  # as the layer before it passes it on
    assert all(one.abs().sum() > 0 for one in gradients)
    assert gradients[0].is_contiguous(memory_format=torch.channels_last)


TINY = ("--kernels", "3", "--batches", "1", "--sides", "4,8", "--channels", "4,8", "device=cpu", "precision=32")


def test_a_small_map_from_end_to_end(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(measure: Any, seconds: float, end: float, refused: Any, say: Any) -> Any:
        return pickle.loads(pickle.dumps(measure))(seconds, refused=refused, say=say)

    monkeypatch.setattr(module, "in_fresh_process", here)
    monkeypatch.setattr(module, "_START", 0.1)
    monkeypatch.setattr(module, "SECONDS", 0.002)
    monkeypatch.setattr(roofline, "SECONDS", 0.01)
    small = roofline.Sizes((64,), (roofline.ConvProblem(8, 8, 1),), 2, 1)
    monkeypatch.setattr(roofline, "SIZES", {"cpu": small})
    line = ("dsbench", "map", *TINY, "--outputs", str(tmp_path / "out"))
    first = call(*line, "--minutes", "0.5", "--json")
    assert (first.code, first.err) == (0, "")
    told = json.loads(first.out)
    assert len(told["points"]) == 4
    assert [one["repeats"] >= 3 for one in told["points"]] == [True] * 4
    assert [column["side"] for column in told["columns"]] == [4, 8]
    for point in told["points"]:
        plain, separable = point["training_plain_ms"], point["training_separable_ms"]
        assert point["training_ratio"] == pytest.approx(separable / plain)
        assert plain > point["inference_plain_ms"] > 0
    drawn = tmp_path / "map.svg"
    again = call(*line, "--minutes", "0", "--csv", "--plot", str(drawn))
    assert (again.code, again.err) == (0, f"drawn: {drawn}\n")
    rows = list(csv.DictReader(io.StringIO(again.out)))
    assert [float(row["training_ratio"]) for row in rows] == [one["training_ratio"] for one in told["points"]]
    assert "training, 1 image" in drawn.read_text(encoding="utf-8")
    shown = call(*line, "--minutes", "0").out
    assert "4 points of 4 measured" in shown
    assert "On this CPU at 8x8" in shown
    assert told["features"] == features("cpu")
    assert f"{told['device']}{' (' if told['features'] else ''}{', '.join(told['features'])}" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--kernels 7 --sides 4,8", "kernel 7 is larger than the 4x4 image; leave one of them out"),
        ("--kernels 200", "nothing to map: kernels [200]"),
        ("--kernels 4", "kernel 4 is not an odd positive number"),
        ("--batches 0", "--batches '0' is not a list of positive integers such as 8,16"),
        ("--channels 99999", "--channels '99999' is not a list of positive integers such as 8,16, below 10,000"),
        ("--channels 4,x", "--channels '4,x' is not a list of positive integers"),
        ("--minutes -1", "--minutes -1.0 is not 0 or more"),
        ("--minutes nan", "--minutes nan is not 0 or more"),
        ("--match macs", "unknown --match 'macs'; choose one of channels, params"),
        ("--plot map.pdf", "--plot map.pdf: a picture is a file .svg or .png"),
        ("--minutes 0", "nothing is measured of this map in "),
        ("--sidse 4", "No such option: --sidse"),
        ("width=8", "width=8 is nothing that a map takes: overrides of device, precision, threads, block"),
        ("block=keras,mobilenet", "block=keras,mobilenet: a map is of one value; map one after the other"),
        ("block=foo", "unknown block 'foo'; choose one of"),
        ("block.group_size=4", "block.group_size 4 does not divide 6 channels"),
        ("device=mps", "device=mps: there is none on this machine"),
    ],
)
def test_bad_input_is_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = call("dsbench", "map", *line.split())
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1 or "No such option" in message
    assert not list(tmp_path.iterdir())


def words(column: dict[int, float], match: str = "channels") -> str:
    """The sentence on training of a map with one column, by the logarithms of its ratios."""
    area = Area.of((3,), (32,), (16,), list(column))
    repeats = {
        Point(3, 32, 16, channels): [
            {phase: [1.0, math.exp(log + off)] for phase in PHASES} for off in (-0.01, 0.0, 0.01)
        ]
        for channels, log in column.items()
    }
    compute = Compute(torch.device("cpu"), "a CPU", "32", 1)
    found = Map(area, Fillings(match), {}, WHERE, compute, Store(Path("nowhere")), repeats)
    return Words(found, "mobilenet").sentence("training")


@pytest.mark.parametrize(
    ("column", "clause"),
    [
        ({32: 0.3, 48: -0.3, 64: -0.5}, "from 39 (39 to 40) channels on"),
        ({16: 0.5, 64: -0.5}, "from 32 (16 to 64) channels on"),
        ({32: -0.3, 48: 0.3}, "up to 39 (39 to 40) channels"),
        (
            {8: 0.3, 12: -0.3, 16: -0.3, 24: 0.3, 32: 0.3, 48: -0.3},
            "from 10 (10 to 10) to 20 (19 to 20) channels and from 39 (39 to 40) channels on",
        ),
        ({8: 0.3, 12: 0.2}, "at none of the widths decided (8 to 12 channels, 2 points)"),
        ({8: -0.3, 12: -0.2}, "at all widths decided (8 to 12 channels, 2 points)"),
    ],
)
def test_the_sentence_says_where_separable_is_faster_and_where_no_longer(column: dict[int, float], clause: str) -> None:
    assert words(column) == f"On this CPU at 16x16 and batch 32 a 3x3 separable convolution trains faster {clause}."


def test_the_sentence_owns_that_nothing_is_decided_and_what_is_equal() -> None:
    assert words({8: 0.001, 12: -0.001}, "params") == (
        "On this CPU at 16x16 it is not decided from how many channels on a 3x3 separable convolution of equal "
        "parameters trains faster."
    )


def test_two_maps_of_one_store_keep_the_points_of_both(machine: Machine, store: Store) -> None:
    areas = [Area.of((3,), (batch,), (8,), CHANNELS) for batch in (1, 32)]
    found = [Map.read(area, SLOTS, WHERE, store) for area in areas]
    for own in found:  # neither knows what the other measures
        explore(own, 0.5)
    before = [{point: own.repeats[point] for point in own.measured} for own in found]
    kept = Map.read(AREA, SLOTS, WHERE, store)
    assert min(map(len, before)) > 3
    assert kept.repeats == before[0] | before[1]
    point, repeats = next(iter(before[0].items()))
    found[1].repeats[point] = [{**repeats[0], "session": "another"}]
    found[1].keep()
    assert Map.read(AREA, SLOTS, WHERE, store).repeats[point] == [*repeats, {**repeats[0], "session": "another"}]


def test_rates_are_those_of_one_session(machine: Machine, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    explore(Map.read(AREA, SLOTS, WHERE, store), 0.5)
    monkeypatch.setitem(globals(), "RATES", Rates(mm_flops=2e11, conv_flops=4e11, bandwidth=8e10))
    found = Map.read(AREA, SLOTS, WHERE, store)
    explore(found, 0.5)
    assert found.rates == Rates(mm_flops=1e11, conv_flops=2e11, bandwidth=4e10)


def test_what_explains_the_boundary_is_told_by_points_that_the_fit_has_not_seen(machine: Machine, store: Store) -> None:
    found = Map.read(AREA, SLOTS, WHERE, store)
    explore(found, 2)
    said = Words(found, "mobilenet")
    for phase in PHASES:
        _, rest = held_out(found.seen(phase))
        told = said.explained(phase)
        decided = [one.point.batch for one in rest if one.decided]
        assert {row["batch"]: row["points"] for row in told} == {batch: decided.count(batch) for batch in (1, 32)}
        assert all(row["right"] >= row["roofline_right"] for row in told)


def test_a_damaged_file_is_measured_anew(machine: Machine, store: Store) -> None:
    explore(Map.read(AREA, SLOTS, WHERE, store), 0.6)
    (path,) = store.folder.glob("*.json")
    whole = json.loads(path.read_text())
    assert Map.read(AREA, SLOTS, WHERE, store).repeats
    for damaged in ({"points": [[1, 2]]}, {"points": [[[3, 1, 8, 4], [{"training": [0, 1]}]]]}, {"rates": None}):
        path.write_text(json.dumps(whole | damaged))
        assert not Map.read(AREA, SLOTS, WHERE, store).repeats


def test_a_pair_for_which_a_gpu_has_no_memory_is_left_out(
    machine: Machine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "times", lambda pair: {} if pair.plain.shape[0] > 64 else Machine.times(machine, pair))
    found = Map.read(AREA, SLOTS, WHERE, store)
    explore(found, 1.5)
    assert {point.channels > 64 for point in found.repeats} == {False}
    assert {point.channels > 64 for point in found.too_large} == {True}
    # None is asked twice.
    assert len([pair for pair, _ in machine.measured if pair.plain.shape[0] > 64]) == len(found.too_large)

"""Budgets by what a chip counts: its own answers for every width are the referee."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.budget.request import Requested, solved
from dsbench.budget.solver import Knob, OutOfReachError, widest_within
from dsbench.chips import counter
from dsbench.chips.chip import Chip
from dsbench.chips.names import RUNTIMES, named
from dsbench.chips.tflm import Tflm
from dsbench.chips.vela import Vela
from dsbench.config.compose import compose
from dsbench.config.network import frame, network_of
from dsbench.errors import InputError
from dsbench.run.identity import identity

ARENA = "budget.chip=tflm budget.chip_cost=arena_bytes"
SMALL = "arch=mnist_7800_shallow data=mnist5k"
Counts = Callable[[str, str], dict[int, dict[str, Any]]]


def needs(kind: type[Chip]) -> pytest.MarkDecorator:
    """Skips the test where the runtime is not installed, with how to get it."""
    return pytest.mark.skipif(kind.missing() is not None, reason=str(kind.missing()))


@pytest.fixture(scope="module")
def every_width(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """What a chip counts of a line's network at each width from 1 to 48."""
    folder, known = tmp_path_factory.mktemp("files"), dict[tuple[str, str], dict[int, dict[str, Any]]]()

    def counts(name: str, line: str) -> dict[int, dict[str, Any]]:
        if (name, line) not in known:
            chip, skeleton = named(name, name), frame(compose(line.split()))
            asked = (counter._counted(chip, skeleton.network(width), folder, folder / "log") for width in range(1, 49))
            known[name, line] = {width: answer["counts"] for width, answer in enumerate(asked, 1)}
        return known[name, line]

    return counts


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """Chips asked without a process of their own. Returns a list with an entry for each network asked."""
    asked: list[int] = []

    def ask(self: counter.Counter, network: Any) -> dict[str, Any]:
        asked.append(1)
        return counter._counted(self.chip, network, tmp_path, tmp_path / "log")

    monkeypatch.setattr(counter.Counter, "_asked", ask)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield asked
    torch.set_num_threads(threads)


def met(line: str, outputs: Path) -> tuple[int, Requested]:
    composed, requested = solved(compose([*line.split(), f"outputs={outputs}"]))
    assert requested is not None
    return composed.config.width, requested


def test_a_cost_that_falls_here_and_there_is_followed_to_the_widest_within() -> None:
    """By brute force; it comes down by no more than what fifteen further widths add."""
    for case in range(300):
        rng = random.Random(case)
        slope, depth = rng.uniform(1, 50), rng.uniform(0, 15)
        costs = {w: slope * (w - rng.uniform(0, depth)) + 100 for w in range(1, 400) if rng.random() < 0.9}
        ceiling = rng.uniform(min(costs.values()), costs[max(w for w in costs if w < 150)])
        found = widest_within(Knob(lambda width, _, costs=costs: costs.get(width), largest=399), ceiling)
        assert found.width == max(width for width, cost in costs.items() if cost <= ceiling), f"case {case}"
        assert (found.fine_width, found.cost) == (None, costs[found.width])


def test_where_all_is_within_the_widest_is_taken_and_where_nothing_is_the_cheapest_named() -> None:
    knob = Knob(lambda width, _: float(width % 7 + width), largest=60)
    assert widest_within(knob, 1000).width == 60
    with pytest.raises(OutOfReachError) as error:
        widest_within(knob, 1.5)
    assert [(near.width, near.cost) for near in error.value.nearest] == [(1, 2)]


@needs(Tflm)
@pytest.mark.parametrize("model", ["cnn", "dwsep"])
def test_the_widest_network_within_an_arena_is_that_of_brute_force(
    model: str, every_width: Counts, in_this_process: list[int], tmp_path: Path
) -> None:
    arenas = {width: counts["arena_bytes"] for width, counts in every_width("tflm", f"{SMALL} model={model}").items()}
    assert {*every_width("tflm", f"{SMALL} model={model}")[1]} == {*Tflm.costs}
    for most in (16_384, arenas[20]):
        width, requested = met(f"{SMALL} model={model} {ARENA} budget.at_most={most}", tmp_path)
        assert width == max(width for width, arena in arenas.items() if arena <= most) < 40
        assert (requested.target, requested.actual) == (most, arenas[width])
        assert str(requested) == f"{arenas[width]:,} of {most:,} B of arena on tflm"
        assert requested.target_line == f"at most {most:,} B of arena on tflm"


@needs(Vela)
def test_cycles_that_fall_as_widths_grow_are_met_by_the_widest_of_brute_force(
    every_width: Counts, in_this_process: list[int], tmp_path: Path
) -> None:
    line = f"{SMALL} model=cnn"
    counted = every_width("ethos_u55_128", line)
    assert {*counted[1]} == {*Vela.costs, "cpu_operators"}
    cycles = {width: counts["cycles"] for width, counts in counted.items()}
    dips = [width for width in range(12, 30) if cycles[width + 1] < cycles[width]]
    most = cycles[dips[0] + 1]  # which the width before exceeds
    asked = f"budget.chip=ethos_u55_128 budget.chip_cost=cycles budget.at_most={most}"
    width, requested = met(f"{line} {asked}", tmp_path)
    assert width == max(width for width, cost in cycles.items() if cost <= most)
    assert str(requested) == f"{most:,} of {most:,} cycles on ethos_u55_128"


@needs(Tflm)
def test_another_family_s_flash_is_matched_within_the_tolerance(
    every_width: Counts, in_this_process: list[int], tmp_path: Path
) -> None:
    flash = "budget.match=cnn budget.by=chip budget.chip=tflm budget.chip_cost=flash_bytes"
    target = every_width("tflm", f"{SMALL} model=cnn")[16]["flash_bytes"]
    width, requested = met(f"{SMALL} model=dwsep width=16 {flash}", tmp_path)
    assert requested.target == target
    assert abs(requested.residual) <= 0.01
    assert width > 16
    assert requested.target_line == f"{target:,} B of flash on tflm, as cnn has"
    own = replace(requested, actual=target, residual=0.0)
    assert met(f"{SMALL} model=cnn width=16 {flash}", tmp_path) == (16, own)


@needs(Tflm)
def test_a_chip_is_asked_of_a_network_once_and_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"{SMALL} model=dwsep {ARENA} budget.at_most=16384"
    first = met(line, tmp_path)
    monkeypatch.setattr(counter.Counter, "_start", lambda self: pytest.fail("a process was started"))
    assert met(line, tmp_path) == first
    for path in (tmp_path / "chips").iterdir():
        path.write_text("{")
    with pytest.raises(pytest.fail.Exception):
        met(line, tmp_path)


@needs(Tflm)
def test_the_budget_is_outside_the_identity_and_the_width_in_it(in_this_process: list[int], tmp_path: Path) -> None:
    asked, _ = solved(compose([*f"{SMALL} {ARENA} budget.at_most=16384".split(), f"outputs={tmp_path}"]))
    typed = compose([*SMALL.split(), f"width={asked.config.width}"])
    same = [identity(one.config, network_of(one), "images", "32") for one in (asked, typed)]
    assert same[0] == same[1]
    assert solved(asked) == (asked, None)


@needs(Tflm)
def test_networks_beyond_the_arena_that_a_chip_has_are_too_large_and_no_error(
    every_width: Counts, in_this_process: list[int], tmp_path: Path
) -> None:
    own = tmp_path / "own" / "chip"
    own.mkdir(parents=True)
    (own / "small.yaml").write_text("runtime: tflm\nprecisions: [int8]\narena_bytes: 9000\n")
    (own / "tiny.yaml").write_text("runtime: tflm\nprecisions: [int8]\narena_bytes: 2000\n")
    arenas = {width: counts["arena_bytes"] for width, counts in every_width("tflm", f"{SMALL} model=cnn").items()}

    def widest(chip: str) -> int:
        asked = f"budget.chip={chip} budget.chip_cost=file_bytes budget.at_most=1e6 outputs={tmp_path}"
        composed, _ = solved(compose(f"{SMALL} model=cnn {asked}".split(), str(tmp_path / "own")))
        return composed.config.width

    assert widest("small") == max(width for width, arena in arenas.items() if arena <= 9000)
    with pytest.raises(InputError, match=r"needs an arena of [0-9,]+ bytes, and chip/tiny has 2,000"):
        widest("tiny")


@needs(Tflm)
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("arch.activation=gelu budget.at_most=65536", "TensorFlow Lite for Microcontrollers has no GELU"),
        (
            "budget.at_most=1000",
            "budget.at_most: no cnn network of arch mnist_7800_shallow has at most 1,000 B of arena on tflm; "
            "the smallest has",
        ),
        ("model=dwsep budget.match=cnn budget.by=chip arch.activation=gelu", "has no GELU, which this network needs"),
    ],
)
def test_a_network_that_the_chip_cannot_take_is_one_line(
    line: str, says: str, in_this_process: list[int], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        met(f"{SMALL} {ARENA} {line}", tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", RUNTIMES.values(), ids=RUNTIMES)
def test_a_budget_by_a_chip_whose_extra_is_missing_says_how_to_get_it(
    kind: type[Chip], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dsbench.chips.chip.find_spec", lambda module: None)
    name = next(name for name in ("tflm", "litert", "onnxruntime", "openvino", "ethos_u55_128") if _is(name, kind))
    with pytest.raises(InputError, match=rf"^budget.chip={name}: no .* here, .* pip install 'dsbench\[{kind.extra}\]'"):
        met(f"budget.chip={name} budget.chip_cost=file_bytes budget.at_most=9", tmp_path)
    assert list(tmp_path.iterdir()) == []


def _is(name: str, kind: type[Chip]) -> bool:
    text = (Path(__file__).parents[2] / "conf" / "chip" / f"{name}.yaml").read_text(encoding="utf-8")
    return f"runtime: {kind.runtime} " in text

"""Seeds until decided: which cells go on, how comparisons stand, and that nothing of it depends on interruptions."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.utils import JobReturn
from made_sweeps import four_cells, make
from omegaconf import OmegaConf

from dsbench.config.compose import compose
from dsbench.errors import InputError
from dsbench.results.folder import SweepFolder
from dsbench.run.record import Result, Status
from dsbench.statistics.looks import nominal_levels, spent
from dsbench.statistics.means import ALPHA
from dsbench.sweep.conduct import train_until_decided
from dsbench.sweep.looks import Looks, Schedule, rule_of
from dsbench.sweep.name import SweepName
from dsbench.sweep.plan import SweepPlan, plan_sweep
from dsbench.sweep.sweep import Sweep
from dsbench.verdict.rule import DECIDED, Answer, Rule, Standing
from dsbench.verdict.verdict import Comparison, Verdict, verdict

IMAGES = 40

Outcome = tuple[str, float] | tuple[str, float, np.ndarray]  # status, accuracy, which images were right
Course = Callable[[str, int], Outcome]


class Stopped(BaseException):
    """What a test ends a sweep with."""


class Launcher:
    """Writes down what each run comes to instead of training it, `left` runs at the most."""

    def __init__(self, plan: SweepPlan, course: Course, left: float) -> None:
        self.plans = {job.overrides: job.plan for job in plan.jobs}
        self.course, self.left = course, left

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        for overrides in map(tuple, job_overrides):
            if self.left <= 0:
                raise Stopped
            self.left -= 1
            planned = self.plans[overrides]
            assert planned is not None
            facts = planned.facts()
            name = next(one.split("=")[1] for one in overrides if one.startswith(("model=", "experiment=")))
            status, accuracy, *images = self.course(name, int(facts.seed or 0))
            result = Result(test_acc=accuracy) if status in ("done", "collapsed") else None
            planned.folder.create()
            if images:
                packed = np.packbits(images[0].astype(np.uint8)).tobytes()
                planned.folder.correct_file.write_bytes(b"%d\n" % IMAGES + packed)
            planned.folder.write_result(replace(facts, status=Status(status), result=result))
        return []


Sweeping = Callable[..., tuple[Launcher, SweepFolder]]


@pytest.fixture
def sweeping(overrides: Callable[[str], list[str]], outputs: Path) -> Sweeping:
    """Trains the seeds of `models` until that decides, on `course`; a sweep that was stopped goes on."""

    def sweep(
        course: Course,
        schedule: Schedule,
        models: str = "cnn dwsep",
        left: float = math.inf,
        margin: float | None = None,
    ) -> tuple[Launcher, SweepFolder]:
        named = [[f"experiment={name}"] if "/" in name else [f"model={name}", "width=2"] for name in models.split()]
        lines = [[*line, f"seed={seed}"] for line in named for seed in range(schedule.most)]
        plan = plan_sweep([[*overrides(""), *line] for line in lines], compose)
        launcher = Launcher(plan, course, left)
        config = OmegaConf.create(
            {
                "outputs": str(outputs),
                "verdict": {"margin": margin, "speed_margin": 10.0},
                "hydra": {"runtime": {"config_sources": []}},
            }
        )
        conducted = Sweep(config, SweepName("made"), [], launcher, schedule)  # type: ignore[arg-type]
        train_until_decided(conducted, plan, schedule)
        return launcher, conducted.folder

    return sweep


def noise(model: str, seed: int, sd: float) -> float:
    """The deviation of a run, the same each time."""
    return sd * float(np.random.default_rng([len(model), ord(model[0]), seed]).standard_normal())


def three_families(model: str, seed: int) -> Outcome:
    """dwsep is far below the others, which differ by less than their noise."""
    return "done", (0.5 if model == "dwsep" else 0.8) + noise(model, seed, 0.02)


def trained(folder: SweepFolder) -> dict[str, list[int]]:
    """The seeds with a record, by model."""
    runs, _ = folder.read()
    rows = runs[runs["status"] != "missing"]
    return {str(model): sorted(of_model["seed"].tolist()) for model, of_model in rows.groupby("model")}


def judged(folder: SweepFolder) -> Verdict:
    return verdict(folder.outputs, folder.read()[0], rule=rule_of(folder))


def pair(verdict: Verdict, reference: str, candidate: str) -> Comparison:
    (one,) = [
        one for one in verdict.comparisons if [cell.names["model"] for cell in one.cells] == [reference, candidate]
    ]
    return one


def looks(folder: SweepFolder) -> list[dict[str, Any]]:
    """What looks.json holds, but for when."""
    taken = json.loads((folder.path / "looks.json").read_text())
    return [{name: value for name, value in look.items() if name != "when"} for look in taken]


def test_cells_of_comparisons_that_are_decided_train_no_more(sweeping: Sweeping) -> None:
    """A decision stands as of its look: what a cell trains for another comparison is beside it."""
    _, folder = sweeping(three_families, Schedule((3, 5, 8)), "cnn hybrid dwsep")
    assert trained(folder) == {"cnn": [*range(8)], "hybrid": [*range(8)], "dwsep": [0, 1, 2]}
    far = pair(judged(folder), "cnn", "dwsep").better
    assert (far.answer, far.look, far.runs, far.runs_later) == (Answer.WORSE, 1, (3, 3), 5)
    (first,) = [one for one in looks(folder)[0]["comparisons"].values() if one["mean"] == far.mean]
    assert far.interval is not None
    assert (first["answer"], first["low"], first["high"]) == (far.answer, far.interval.low, far.interval.high)
    near = pair(judged(folder), "cnn", "hybrid").better
    assert near.answer not in DECIDED
    assert (near.look, near.runs, near.runs_later) == (3, (8, 8), 0)


def test_the_effects_of_a_factorial_are_comparisons_as_pairs_are(sweeping: Sweeping) -> None:
    """No pair and no main effect is in doubt; the interaction is, and all four cells are trained for it."""
    accuracies = {"cnn_shallow": 0.2, "cnn_deep": 0.4, "dwsep_shallow": 0.7, "dwsep_deep": 0.9}

    def course(name: str, seed: int) -> Outcome:
        return "done", accuracies[name.split("/")[1]] + 0.01 * (seed % 3)

    _, folder = sweeping(course, Schedule((3, 5)), " ".join(f"matched_7800/{name}" for name in accuracies))
    first, second = (look["comparisons"] for look in looks(folder))
    open_ = [key for key, looked in first.items() if not looked["decided"]]
    assert (len(first), len(open_), list(second)) == (6 + 3, 1, open_)
    assert open_[0].endswith(" interaction")
    assert all(seeds == [*range(5)] for looked in second.values() for seeds in looked["seeds"])
    (factorial,) = [group.factorial for group in judged(folder).groups if group.factorial]
    assert [(effect.name, effect.better.look, effect.better.runs) for effect in factorial.effects] == [
        ("block", 1, (3,) * 4),
        ("topology", 1, (3,) * 4),
        ("interaction", 2, (5,) * 4),
    ]


def test_each_look_spends_what_its_share_of_all_seeds_allows(sweeping: Sweeping) -> None:
    """Failed runs are part of the share, not of the mean; what the looks together may spend is the full level."""

    def course(model: str, seed: int) -> Outcome:
        return ("collapsed", 0.1) if (model, seed) == ("dwsep", 1) else three_families("cnn", seed + len(model))

    _, folder = sweeping(course, Schedule((3, 5, 8)))
    (stood,) = ([look["comparisons"][key] for look in looks(folder)] for key in looks(folder)[0]["comparisons"])
    assert [looked["fractions"] for looked in stood] == [[3 / 8], [3 / 8, 5 / 8], [3 / 8, 5 / 8, 1.0]]
    assert [looked["trained"] for looked in stood] == [[3, 3], [5, 5], [8, 8]]
    assert stood[0]["seeds"] == [[0, 1, 2], [0, 2]]
    assert stood[0]["answer"] == Answer.TOO_FEW
    levels = [Standing(tuple(looked["fractions"])).level(1) for looked in stood]
    assert levels == list(nominal_levels((3 / 8, 5 / 8, 1.0)))
    assert levels[0] == pytest.approx(spent(3 / 8))  # the first look has all of it for itself
    judged_now = pair(judged(folder), "cnn", "dwsep").better
    assert judged_now.level == levels[-1] < ALPHA
    assert judged_now.difference is not None
    assert judged_now.difference.cautious


def test_a_sweep_stopped_anywhere_and_continued_has_the_looks_of_an_undisturbed_one(
    sweeping: Sweeping, outputs: Path
) -> None:
    schedule = Schedule((3, 5, 8))
    _, folder = sweeping(three_families, schedule, "cnn hybrid dwsep")
    expected, seeds = looks(folder), trained(folder)
    for number in (2, 9, 12):  # before the first look, right after it, and before the second
        outputs.rename(outputs.with_name(f"before {number}"))
        with pytest.raises(Stopped):
            sweeping(three_families, schedule, "cnn hybrid dwsep", left=number)
        sweeping(three_families, schedule, "cnn hybrid dwsep")
        assert (looks(folder), trained(folder)) == (expected, seeds)
    (folder.path / "looks.json").unlink()  # what is in it follows from the runs
    sweeping(three_families, schedule, "cnn hybrid dwsep", left=0)
    assert looks(folder) == expected


def test_runs_that_another_sweep_has_trained_are_judged_at_their_look(sweeping: Sweeping, outputs: Path) -> None:
    schedule = Schedule((3, 5, 8))
    _, folder = sweeping(three_families, schedule, "cnn hybrid")
    expected = looks(folder)
    for path in (folder.path / "looks.json", folder.sweep_file):  # the plan with all seeds stays
        path.unlink()
    sweeping(three_families, schedule, "cnn hybrid", left=0)
    assert looks(folder) == expected


def test_a_cell_whose_first_five_seeds_all_failed_trains_no_more(sweeping: Sweeping) -> None:
    def course(model: str, seed: int) -> Outcome:
        return ("failed", 0.0) if model == "dwsep" and seed % 2 else ("collapsed" if model == "dwsep" else "done", 0.5)

    _, folder = sweeping(course, Schedule((3, 5, 8)))
    assert trained(folder) == {"cnn": [*range(5)], "dwsep": [*range(5)]}


def test_a_comparison_that_images_cannot_tell_trains_no_more_seeds(sweeping: Sweeping) -> None:
    """Every run gets the same 30 of 40 images right, other ones in each family: seeds add nothing."""

    def course(model: str, seed: int) -> Outcome:
        right = np.roll(np.arange(IMAGES) < 30, 10 if model == "dwsep" else 0)
        return "done", 0.75, right

    _, folder = sweeping(course, Schedule((3, 5, 8)))
    assert trained(folder) == {"cnn": [0, 1, 2], "dwsep": [0, 1, 2]}
    assert pair(judged(folder), "cnn", "dwsep").better.images_cannot_tell == IMAGES


def test_another_margin_takes_up_what_only_the_old_one_had_decided(sweeping: Sweeping) -> None:
    def alike(model: str, seed: int) -> Outcome:
        return "done", 0.8 + 0.004 * (seed % 3)

    schedule = Schedule((3, 8))
    _, folder = sweeping(alike, schedule, margin=10.0)
    assert pair(judged(folder), "cnn", "dwsep").better.answer is Answer.AS_GOOD
    assert trained(folder)["cnn"] == [0, 1, 2]
    sweeping(alike, schedule, margin=0.0)
    assert trained(folder)["cnn"] == [*range(8)]
    assert len(looks(folder)) == 2
    assert rule_of(folder).margin == 0
    assert rule_of(folder, 5.0).margin == 5


def test_looks_that_nobody_planned_leave_levels_and_are_counted(sweeping: Sweeping) -> None:
    """And of one at what was judged before nothing is kept; one plan is one look, however many it has."""
    schedule = Schedule((3, 5))
    _, folder = sweeping(three_families, schedule)
    looked, before = Looks(folder), judged(folder)
    looked.take(before)
    assert (len(looks(folder)), rule_of(folder).looks) == (len(looked.taken), 1)
    _, folder = sweeping(three_families, Schedule((3, 5, 8)), "cnn hybrid dwsep")
    assert rule_of(folder).looks == 2
    runs, _ = folder.read()
    looked = Looks(folder)
    looked.taken = [replace(look, runs=look.runs[:-1]) for look in looked.taken]
    looked._read = lambda: looked.taken  # type: ignore[method-assign]
    standings = looked.standings()
    looked.take(verdict(folder.outputs, runs))
    assert rule_of(folder).looks == 3
    after = rule_of(folder).standings or {}
    assert {key: standing.fractions for key, standing in after.items()} == {
        key: standing.fractions for key, standing in standings.items()
    }


def test_an_older_sweep_is_judged_by_the_defaults_and_a_margin_given_comes_first(tmp_path: Path) -> None:
    folder = make(tmp_path, four_cells()).folder
    assert rule_of(folder) == replace(Rule(), standings={})
    assert rule_of(None) == Rule()
    assert rule_of(folder, 0.0).margin_of("mnist") == 0
    with pytest.raises(InputError, match=r"margin: -1 is not a number of percentage points, 0 or more"):
        rule_of(folder, -1.0)


@pytest.mark.parametrize(
    ("margin", "speed_margin"),
    [("much", 10), (-1, 10), (".nan", 10), (".inf", 10), ("true", 10), (1, 0), (1, -5), (1, "null"), (1, ".inf")],
)
def test_margins_that_no_sweep_has_are_damage(tmp_path: Path, margin: object, speed_margin: object) -> None:
    folder = make(tmp_path, four_cells()).folder
    written = f"verdict: {{margin: {margin}, speed_margin: {speed_margin}}}\n"
    folder.sweep_file.write_text(folder.sweep_file.read_text() + written)
    with pytest.raises(InputError, match=r"sweep.yaml is damaged: verdict is not what was written"):
        rule_of(folder)


def test_runs_that_are_trained_anew_take_their_looks_with_them(tmp_path: Path) -> None:
    folder = make(tmp_path, four_cells()).folder
    runs, _ = folder.read()
    looked = Looks(folder)
    looked.take(verdict(folder.outputs, runs))
    assert looked.taken
    judged_runs = looked.taken[0].runs
    looked.forget(["f" * 12])
    assert Looks(folder).taken == looked.taken != []
    looked.forget([judged_runs[1]])
    assert Looks(folder).taken == looked.taken == []
    assert rule_of(folder).looks == 1


TINY = "model=cnn,dwsep arch=mnist_7800_shallow width=2 train.max_epochs=1 bench_minutes=0 report=false"


@pytest.mark.thorough
def test_a_sweep_extended_by_hand_was_looked_at_again_and_one_judged_again_was_not(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    """What is the sweep's own decides neither its name nor what is trained."""

    def swept(line: str) -> tuple[list[dict[str, Any]], SweepFolder]:
        ended = call("sweep", "-m", *overrides(f"{TINY} {line}"))
        assert (ended.code, ended.err) == (0, ""), ended.out
        (folder,) = map(SweepFolder, (outputs / "sweeps").iterdir())
        return looks(folder), folder

    first, folder = swept("seeds=3")
    assert [(len(look["runs"]), look["most"]) for look in first] == [(6, None)]
    standings = (rule_of(folder).standings or {}).values()
    assert [(standing.fractions, standing.seeds) for standing in standings] == [((1.0,), None)]
    assert (swept("seeds=3")[0], rule_of(folder).looks) == (first, 1)
    extended, _ = swept("seeds=4")
    assert [len(look["runs"]) for look in extended] == [6, 8]
    assert rule_of(folder).looks == 2
    assert call("dsbench", "verdict", folder.name, "--outputs", str(outputs), "--margin", "3", "--json").code == 0
    assert looks(folder) == extended
    until_decided, _ = swept("seeds=auto max_seeds=4 looks=[3] verdict.margin=2 verdict.speed_margin=5")
    assert until_decided[:2] == extended
    assert [(look["at"], look["most"]) for look in until_decided[2:]] in ([(3, 4)], [(3, 4), (4, 4)])
    assert len(list((outputs / "runs").glob("*/"))) == 8
    assert {read(path)["attempts"] for path in outputs.glob("runs/*/result.json")} == {1}
    rule = rule_of(folder)
    assert (rule.margin, rule.speed_margin, rule.looks) == (2, 5, 3)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.mark.thorough
def test_a_sweep_killed_between_its_looks_comes_to_those_of_an_undisturbed_one(
    overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    line = [*overrides(f"{TINY} seeds=auto max_seeds=4 verdict.margin=0"), "n_jobs=1"]
    command = [sys.executable, str(Path(__file__).parents[2] / "sweep.py"), "-m", *line]

    def folder() -> SweepFolder:
        (path,) = (outputs / "sweeps").iterdir()
        return SweepFolder(path)

    def run() -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        return looks(folder()), trained(folder())

    sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while sweep.poll() is None and len(list(outputs.glob("runs/*/"))) < 7:  # of 8: the first of the second look
        time.sleep(0.05)
    sweep.kill()
    sweep.wait(timeout=60)
    assert [look["at"] for look in looks(folder())] == [3]
    killed = run()
    assert [look["at"] for look in killed[0]] == [3, 4]
    (folder().path / "looks.json").unlink()
    assert killed == run()  # from all runs at once


@pytest.mark.parametrize(
    ("looks", "most", "expected"),
    [
        (None, None, (3, 5, 8, 12, 16)),
        (None, 16, (3, 5, 8, 12, 16)),
        (None, 6, (3, 5, 6)),
        (None, 20, (3, 5, 8, 12, 16, 20)),
        ([4, 9], None, (4, 9)),
        ([4, 9], 6, (4, 6)),
        ([4, 9], 3, (3,)),
    ],
)
def test_looks_are_cut_at_the_most_seeds_which_are_looked_at_too(
    looks: list[int] | None, most: int | None, expected: tuple[int, ...]
) -> None:
    schedule = Schedule.of(looks, most)
    assert schedule.looks == expected
    assert [seed for batch in schedule.batches for seed in batch] == [*range(expected[-1])]


@pytest.mark.parametrize(
    ("looks", "most", "says"),
    [
        (None, 2, "max_seeds 2 is too few"),
        ([5, 3], None, "looks [5, 3] are not numbers of seeds that ascend from 3 or more"),
        ([3, 3], None, "looks [3, 3] are not"),
        ([2, 5], None, "looks [2, 5] are not"),
        ([], None, "looks [] are not"),
    ],
)
def test_looks_that_cannot_be_are_one_line(looks: list[int] | None, most: int | None, says: str) -> None:
    with pytest.raises(InputError) as error:
        Schedule.of(looks, most)
    assert says in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"when": "now"}]', '{"a": 1}'])
def test_a_damaged_file_of_looks_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "looks.json").write_text(text)
    with pytest.raises(InputError, match=r"looks.json is damaged: .*; delete it, and the same sweep looks anew"):
        Looks(SweepFolder(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        *({"fractions": value} for value in ([], [0], [1.5], [0.5, 0.5], [0.8, 0.5], ["1"], [True], "1", None)),
        *({"seeds": value} for value in ([[0, 1]], [[0], ["1"]], [[0], [1.5]], [[0], [-1]], [[0], 1], "01", None)),
        *({"trained": value} for value in ([3], [3, "3"], [3, None], "33")),
        *({"answer": value} for value in ("good", None, 3)),
        {"cells": "ab"},
        {"of the future": 1},
    ],
    ids=str,
)
def test_a_look_that_holds_what_no_look_has_is_damage(damage: dict[str, Any], tmp_path: Path) -> None:
    folder = make(tmp_path, four_cells()).folder
    Looks(folder).take(verdict(folder.outputs, folder.read()[0]))
    assert rule_of(folder).looks == 1
    taken = looks(folder)
    next(iter(taken[0]["comparisons"].values())).update(damage)
    (folder.path / "looks.json").write_text(json.dumps(taken))
    with pytest.raises(InputError, match=r"looks.json is damaged: .*; delete it, and the same sweep looks anew") as one:
        rule_of(folder)
    assert "\n" not in str(one.value)

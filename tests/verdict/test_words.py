"""The verdict in words: one sentence that answers, the figures of each question, and what stands beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import budget, cell, pair, verdict

from dsbench.statistics.means import Interval
from dsbench.tables import Line
from dsbench.verdict.better import key
from dsbench.verdict.details import details, effects, missing
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer, Rule, Standing
from dsbench.verdict.sentences import headline, title
from dsbench.verdict.verdict import Comparison
from dsbench.verdict.words import described, summary

BEFORE = [0.98, 0.981, 0.982, 0.983, 0.984, 0.985, 0.986, 0.987]
AFTER = [round(score - by, 4) for score, by in zip(BEFORE, (0.013, 0.014) * 4, strict=True)]
OPEN_FIRST = (Answer.CANNOT_TELL, Answer.SLOWER, Answer.SLOWER)
COSTS = ({"params": 7800, "macs": 680_932}, {"params": 7841, "macs": 2_097_704})


def test_the_title_says_what_was_compared_on_what() -> None:
    stop = {"stop": {"by": "epochs", "target": 10}}
    cells = [cell(BEFORE, model, data="cifar10", **stop) for model in ("cnn", "dwsep")]
    assert title(verdict(*cells)) == "cnn and dwsep on cifar10, plain, 10 epochs"
    other = cell(BEFORE, "hybrid", arch="vgg", data="cifar10", **stop)
    assert title(verdict(*cells, other)) == "cnn, dwsep and hybrid on cifar10, 10 epochs"


def test_one_sentence_answers() -> None:
    cells = cell(BEFORE, **COSTS[0], **budget(7800)), cell(AFTER, "dwsep", **COSTS[1], **budget(7800))
    assert headline(verdict(*cells)) == [
        "At 7,800 parameters the separable network is less accurate by 1.35 points (1.09 to 1.61)."
    ]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([score + 0.01 for score in BEFORE], "the separable network is more accurate by 1.00 points ("),
        (BEFORE, "cannot be told from the conventional network in accuracy (0.00 points"),
        (AFTER[:2], "differs from the conventional network by -1.65 points (-1."),
        (
            ["failed"],
            "cannot be compared with the conventional network in accuracy: 0 of 1 run of dwsep and 8 of 8 runs of",
        ),
    ],
)
def test_each_answer_has_its_words(after: list[float | str], words: str) -> None:
    assert words in headline(verdict(cell(BEFORE), cell(after, "dwsep")))[0]


def test_within_a_margin_they_are_as_accurate() -> None:
    (sentence,) = headline(verdict(cell(BEFORE), cell(BEFORE, "dwsep"), rule=Rule(margin=1.0)))
    assert sentence.endswith("separable network is as accurate to within 1.00 points (0.00 points (-0.26 to +0.26)).")


def test_several_groups_have_a_clause_each() -> None:
    cells = [
        cell(scores, model, width=target + len(model), params=target, **budget(target))
        for target in (1000, 2000)
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER))
    ]
    (sentence,) = headline(verdict(*cells))
    assert sentence.startswith("At 1,000 parameters the separable network is less accurate by 1.3 points (")
    assert "; at 2,000 parameters it is less accurate by 1.3 points (" in sentence


def test_pairs_of_one_group_are_told_apart_by_their_labels() -> None:
    cells = [
        cell(scores, model, arch=arch, width=number, **budget(1000))
        for number, arch in enumerate(("shallow", "deep"))
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER))
    ]
    sentence, rest = headline(verdict(*cells))
    assert rest.startswith("Of the other pairs in test accuracy: cnn against cnn cannot tell in 1; dwsep against cnn ")
    assert "dwsep, shallow is less accurate than cnn, shallow by 1.3" in sentence
    assert "dwsep, deep is less accurate than cnn, deep by 1.3" in sentence


def test_what_the_group_says_no_label_says_again() -> None:
    cells = [cell(BEFORE, model, width=width, params=1000 * width) for width in (1, 12) for model in ("cnn", "dwsep")]
    first, second = verdict(*cells, cell(BEFORE, "hybrid", width=1, params=9)).headline
    assert described(first) == "dwsep, width 1 against cnn, width 1 at 1,000 parameters"
    assert described(replace(first, group="equal width 1")) == "dwsep against cnn at equal width 1"
    assert described(replace(second, group="equal width 1")) == "dwsep, width 12 against cnn, width 12 at equal width 1"
    assert described(replace(first, group="equal width 12")) == "dwsep, width 1 against cnn, width 1 at equal width 12"


def test_many_comparisons_are_counted() -> None:
    cells = [
        cell(scores, model, width=8 * 2**number, params=1000 * 2**number)
        for number in range(5)
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER if number else BEFORE))
    ]
    (sentence,) = headline(verdict(*cells))
    assert sentence == (
        "Test accuracy over 5 comparisons, the separable network against the conventional network: cannot tell in 1 "
        "(0.00 points) and worse in 4 (-1.3 points)."
    )


def timed_pair(*measures: Measure, after: list[float] = AFTER) -> Comparison:
    return replace(pair(cell(BEFORE), cell(after, "dwsep")), measured=measures)


def step(answer: Answer, ratio: float, name: str = "training step") -> Measure:
    return Measure(name, "ms", 1.0, ratio, answer, Interval(ratio * 0.9, ratio * 1.1), n=5)


def test_times_that_agree_have_one_answer_and_others_are_mixed_with_the_figures_of_each() -> None:
    names = ("training step", "latency at batch 1", "latency at a large batch")
    answer, *lines = summary(timed_pair(*(step(Answer.SLOWER, 2.57, name) for name in names)), "faster")
    assert answer == Line.of(Answer.SLOWER)
    assert lines[0] == Line.of(None, "step x 2.57 (2.31 to 2.83)")
    mixed = timed_pair(*(step(answer, 2.5, name) for answer, name in zip(OPEN_FIRST, names, strict=True)))
    answer, *lines = summary(mixed, "faster")
    assert answer == Line.of(Answer.MIXED)
    assert [(line.answer, line.tone) for line in lines] == [("slower", "bad"), ("cannot tell", "open")]
    assert list(map(str, lines)) == [
        "slower: one image x 2.5 (2.25 to 2.75), many images x 2.5 (2.25 to 2.75)",
        "cannot tell: step x 2.5 (2.25 to 2.75)",
    ]


def test_what_is_equal_is_left_out_of_the_costs() -> None:
    lines = summary(pair(cell(BEFORE, **COSTS[0]), cell(AFTER, "dwsep", **COSTS[1])), "lighter")
    assert lines == [Line.of(Answer.HEAVIER), Line.of(None, "MACs x 3.08")]


def test_accuracies_say_by_how_much_and_what_would_decide() -> None:
    _, *lines = summary(pair(cell(BEFORE), cell(AFTER, "dwsep")), "better")
    assert list(map(str, lines)) == ["-1.35 points", "(-1.61 to -1.09)", "by more than 0.20"]
    rng = np.random.default_rng(0)
    noisy = [cell(rng.normal(mean, 0.01, 5).tolist(), model) for model, mean in (("cnn", 0.9), ("dwsep", 0.905))]
    answer, *lines = summary(pair(*noisy), "better")
    assert answer == Line.of(Answer.CANNOT_TELL)
    assert str(lines[-1]).startswith("about ")
    assert str(lines[-1]).endswith(" seeds would")
    assert str(summary(pair(cell(BEFORE[:2]), cell(AFTER, "dwsep")), "better")[-1]) == "3 runs a side decide"


def test_reliability_says_k_of_n_and_the_upper_end() -> None:
    after: list[Any] = [*AFTER[:5], "collapsed", "collapsed", "collapsed"]
    lines = summary(pair(cell(BEFORE), cell(BEFORE, "dwsep")), "reliable")
    assert list(map(str, lines)) == [Answer.NO_DIFFERENCE, "0 of 8 and 0 of 8 failed", "each below 37 %"]
    assert str(summary(pair(cell(BEFORE), cell(after, "dwsep")), "reliable")[1]) == "3 of 8 and 0 of 8 failed"


def test_a_family_that_fails_more_often_says_so_in_the_sentence() -> None:
    after: list[Any] = [*AFTER[:2], *["collapsed"] * 6]
    (sentence,) = headline(verdict(cell(BEFORE), cell(after, "dwsep")))
    assert sentence.endswith("and failed to train in 6 of 8 runs against 0 of 8.")


def test_an_unfinished_sweep_says_that_it_is() -> None:
    cells = cell([*BEFORE[:6], "running", "missing"]), cell([*AFTER[:6], "missing", "missing"], "dwsep")
    assert headline(verdict(*cells))[1] == (
        "4 of 16 runs have no result (1 running and 3 missing): this is the verdict on the others."
    )
    nothing = verdict(cell(["missing"] * 2), cell(["running", "missing"], "dwsep"))
    assert (
        headline(nothing)[1] == "None of 4 runs has a result (3 missing and 1 running): this is what their costs say."
    )


def test_nothing_to_compare_is_said() -> None:
    judged = verdict(cell(BEFORE, width=8, params=10), cell(BEFORE, width=16, params=100, macs=10, acts=10))
    assert headline(judged) == [
        "There is nothing to compare yet: no two cells share data, recipe and a budget or a width."
    ]
    assert list(missing(judged)) == ["In no group: width 8; width 16."]


def test_what_is_not_measured_comes_with_the_command_that_measures_it() -> None:
    before, after = cell(BEFORE), cell(AFTER, "dwsep")
    (command,) = missing(verdict(before, after), "out")
    assert command.endswith(f"by: dsbench bench out/runs/{before[0]['run_id']} out/runs/{after[0]['run_id']}")
    assert not list(missing(verdict(cell(BEFORE), cell(["failed"] * 8, "dwsep"))))


def test_of_many_cells_the_first_are_named_and_the_sweep_measures_them(tmp_path: Path) -> None:
    alone = [cell(BEFORE, width=2**n, params=10**n, macs=10**n, acts=10**n) for n in range(15)]
    *_, unmatched = missing(verdict(*alone))
    assert unmatched.endswith("; width 2048; 3 more.")
    pairs = [
        cell(BEFORE, model, width=2**n, params=10**n, macs=10**n, acts=10**n)
        for n in range(7)
        for model in ("cnn", "dwsep")
    ]
    (tmp_path / "sweeps" / "s").mkdir(parents=True)
    assert list(missing(verdict(*pairs), tmp_path, "s"))[-1].endswith(f"by: dsbench bench {tmp_path}/sweeps/s")
    assert list(missing(verdict(*pairs), "out", "s"))[-1].count("out/runs/") == 14  # it is nowhere to be found


def test_the_details_say_which_families_share_a_level_and_how_often_was_looked() -> None:
    cells = [cell(BEFORE), cell(AFTER, "hybrid"), cell(AFTER, "dwsep")]
    first, margins, images = details(verdict(*cells))
    assert margins == "Accuracies are as good where they differ by less than 0.20 points on mnist (the default)."
    assert first == (
        "Each family of comparisons has a chance of 5 % of a false claim, shared by its members: headline pairs (1) "
        "and other pairs at 1,000 parameters (2). Intervals are at the level that this leaves to each."
    )
    assert images == (
        "Intervals are of new seeds on these test images: the runs do not say which images they got right."
    )
    assert details(verdict(*cells, rule=Rule(looks=3)))[0].endswith("looked at 3 times: together at most 15 %.")


def test_the_details_say_what_is_fragile_and_what_came_later() -> None:
    fragile = [0.95, 0.97, 0.93, 0.99, 0.96]
    cells = cell([0.9, 0.9001, 0.8999, 0.9, 0.9001]), cell(fragile, "dwsep")
    (comparison,) = verdict(*cells).comparisons
    standing = Standing((0.2, 0.4), 2, (frozenset(range(3)), frozenset(range(5))))
    judged = verdict(*cells, rule=Rule(standings={key(comparison.cells): standing}))
    text = "\n".join(details(judged))
    assert "dwsep against cnn at 1,000 parameters: fragile, since few runs of unequal spread (sd " in text
    assert "dwsep against cnn at 1,000 parameters: decided at look 2; 2 runs trained since change nothing." in text


def test_a_margin_that_is_given_stands_beside_the_sweeps_own() -> None:
    cells = cell(BEFORE), cell([score - 0.001 for score in BEFORE], "dwsep")
    rule = Rule(margin=1.0, given=True, sweeps_margin=0.05)
    assert details(verdict(*cells, rule=rule))[1:3] == [
        "Accuracies are as good where they differ by less than 1.00 points on mnist (as asked).",
        "By the sweep's own margin, 0.05 points on mnist: dwsep against cnn at 1,000 parameters: cannot tell.",
    ]
    assert details(verdict(*cells, rule=replace(rule, sweeps_margin=0.9)))[2].endswith(": the same answers.")


def test_a_remark_on_runs_that_count_is_said() -> None:
    after = [record | {"remark": "undertrained"} for record in cell(AFTER[:3], "dwsep")]
    assert details(verdict(cell(BEFORE), [*after, *cell(AFTER, "dwsep")[3:]]))[-1] == (
        "3 runs of dwsep are done and undertrained."
    )


def test_two_trained_networks_are_two_networks() -> None:
    cells = cell([0.6]), cell([0.8], "dwsep")
    correct = {str(records[0]["run_id"]): np.arange(50) < 50 * records[0]["test_acc"] for records in cells}
    text = details(verdict(*cells, correct=correct))[-1]
    assert text.startswith("dwsep against cnn at 1,000 parameters: these two trained networks differ by 20.00 points")
    assert text.endswith("what other seeds would give, one run cannot say.")


def test_the_effects_of_a_factorial_are_one_sentence() -> None:
    cells = [
        cell((np.array(BEFORE) + effect).tolist(), model, arch=arch, acts=acts, width=acts, **budget(1000))
        for model, arch, acts, effect in (
            ("cnn", "shallow", 1, 0.0),
            ("dwsep", "shallow", 2, -0.01),
            ("cnn", "deep", 3, 0.0),
            ("dwsep", "deep", 4, -0.01),
        )
    ]
    (judged,) = verdict(*cells).groups
    assert effects(judged).startswith("Block and topology apart at 1,000 parameters: block -1.00 points (-1.2")
    assert "interaction 0.0 points (" in effects(judged)


@pytest.mark.parametrize(
    ("candidate", "shown"), [("(modified: lr)", "dwsep against cnn"), ("(modified: decay)", "dwsep (modified: decay)")]
)
def test_what_both_have_changed_in_the_recipe_of_their_study_is_left_out(candidate: str, shown: str) -> None:
    found = pair(cell(BEFORE, **COSTS[0]), cell(AFTER, "dwsep", **COSTS[1]))
    changed = replace(found, reference="cnn (modified: lr)", candidate=f"dwsep {candidate}")
    assert described(changed).startswith(shown)
    assert ("(modified: lr)" in described(changed)) == ("decay" in candidate)

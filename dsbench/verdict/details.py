"""What stands beside the answers of a verdict: levels and margins, what is fragile or changed, and what is missing."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dsbench.numerals import counted, listed, points
from dsbench.statistics.means import ALPHA
from dsbench.verdict.better import decide
from dsbench.verdict.rule import DECIDED, Answer, Family, Rule
from dsbench.verdict.verdict import Comparison, Judged, Verdict
from dsbench.verdict.words import described, signed

MOST = 12  # names or runs that a sentence lists
LONGER_SECONDS = 60  # of each measurement of each network, where those of a few seconds could not tell


def families(verdict: Verdict) -> str:
    """Which families of comparisons share a level, and how often was looked."""
    sizes: dict[str, int] = {}
    for pair in verdict.comparisons:
        of = "" if pair.better.family is Family.HEADLINE else f" at {pair.group}"
        sizes[f"{pair.better.family}{of}"] = pair.better.comparisons
    for judged in verdict.groups:
        if judged.factorial:
            sizes[f"{Family.EFFECT} at {judged.name}"] = len(judged.factorial.effects)
    shared = listed([f"{what} ({number})" for what, number in sizes.items()]) if sizes else ""
    text = (
        f"Each family of comparisons has a chance of {100 * ALPHA:g} % of a false claim, shared by its members: "
        f"{shared}. Intervals are at the level that this leaves to each."
    )
    if verdict.rule.looks > 1:
        most = 100 * min(1.0, verdict.rule.looks * ALPHA)
        text += f" The sweep was looked at {verdict.rule.looks} times: together at most {most:g} %."
    return text


def margins(verdict: Verdict) -> list[str]:
    """By what margin accuracies are as good and who set it; where it was given, what the sweep's own answers."""
    rule, by_data = verdict.rule, {str(pair.cells[0].names["data"]): pair.better.margin for pair in verdict.comparisons}
    who = "as asked" if rule.given else "as the sweep has it" if rule.margin is not None else "the default"
    own = listed([f"{points(margin)} points on {data}" for data, margin in by_data.items()])
    out = [f"Accuracies are as good where they differ by less than {own} ({who})."]
    if rule.given:
        other = [f"{described(pair)}: {answer}" for pair in verdict.comparisons if (answer := _by_sweep(pair, rule))]
        shared = listed([f"{points(rule.of_sweep.margin_of(data))} points on {data}" for data in by_data])
        out.append(f"By the sweep's own margin, {shared}: {'; '.join(other) if other else 'the same answers'}.")
    return out


def _by_sweep(pair: Comparison, rule: Rule) -> str:
    """The answer by the sweep's own margin; empty where it is the same."""
    better, margin = pair.better, rule.of_sweep.margin_of(str(pair.cells[0].names["data"]))
    if better.difference is None:
        return ""
    decision = decide(better.difference, better.level, margin)
    same = decision.answer is better.answer and decision.beyond == better.beyond
    beyond = f" by more than {points(margin)}" if decision.beyond and margin else ""
    return "" if same else f"{decision.answer}{beyond}"


def details(verdict: Verdict) -> list[str]:
    """What stands beside the answers: families, images, what is fragile, what was trained later or cannot be read."""
    out = [families(verdict), *margins(verdict)] if verdict.groups else []
    pairs = verdict.comparisons
    over = [pair.better.over_images for pair in pairs if pair.better.answer is not Answer.TOO_FEW]
    if over and all(over):
        out.append("Intervals of accuracies are of new seeds and new test images.")
    elif over and any(over):
        out.append("Intervals are of new seeds and new test images where all runs of both kept which they got right.")
    elif over:
        out.append("Intervals are of new seeds on these test images: the runs do not say which images they got right.")
    out += [f"Times of {described(pair)}: {note}." for pair in pairs if (note := _measured(pair))]
    for pair in pairs:
        if pair.better.fragile:
            out.append(f"{described(pair)}: fragile, since {pair.better.fragile}.")
        if pair.better.mcnemar_p is not None and pair.better.mean is not None:
            out.append(
                f"{described(pair)}: these two trained networks differ by {points(pair.better.mean)} points on these "
                f"images (McNemar p = {pair.better.mcnemar_p:.2g}); what other seeds would give, one run cannot say."
            )
        if pair.better.runs_later:
            later = counted(pair.better.runs_later, "run")
            when = "decided at" if pair.better.answer in DECIDED else "as of"
            out.append(f"{described(pair)}: {when} look {pair.better.look}; {later} trained since change nothing.")
        if pair.better.changed:
            out.append(f"{described(pair)}: as look {pair.better.look} decided it; its runs have changed since.")
    out += [
        f"{counted(number, 'run')} of {cell.label} {'is' if number == 1 else 'are'} done and {remark}."
        for cell in verdict.cells
        for remark, number in Counter(run.remark for run in cell.done if run.remark).items()
    ]
    out += [f"Run {run_id} is judged without its images: {why}." for run_id, why in verdict.damaged.items()]
    return out + [f"{sentence[0].upper()}{sentence[1:]}." for sentence in verdict.misjudged]


def _measured(pair: Comparison) -> str:
    """Where, when and in how many repeats the times were measured, and why some do not decide."""
    times = [time for time in pair.measured if time.decides]
    notes = dict.fromkeys(time.note for time in times if time.note)
    reasons = dict.fromkeys(time.reason for time in times if time.reason and time.answer is not Answer.NOT_MEASURED)
    return "; ".join([*notes, *reasons])


def missing(verdict: Verdict, outputs: Path | str = "outputs", sweep: str | None = None) -> Iterator[str]:
    """What a verdict lacks: groups, matched budgets, measurements; with the command that would add it.

    Of several runs it names the folder of their `sweep`, where they are of one.
    """
    if names := verdict.unmatched:
        shown = [*names[:MOST], f"{len(names) - MOST} more"] if len(names) > MOST + 1 else names
        yield f"In no group: {'; '.join(shown)}."
    if verdict.to_measure:
        measures = _bench(verdict.to_measure, outputs, sweep)
        yield f"Which is faster is measured, best with nothing else running, by: {measures}"
    if verdict.unsettled:
        cells = counted(len(verdict.unsettled), "cell")
        again = _bench(verdict.unsettled, outputs, sweep, LONGER_SECONDS)
        yield f"The times of {cells} cannot tell which is faster. More of them would help: {again}"


def _bench(run_ids: Sequence[str], outputs: Path | str, sweep: str | None, seconds: int | None = None) -> str:
    """The command that measures these runs; of more than a pair that of their sweep."""
    folders = [str(Path(outputs) / "runs" / run_id) for run_id in run_ids]
    whole = Path(outputs) / "sweeps" / (sweep or "")
    if sweep is not None and len(run_ids) > 2 and whole.is_dir():
        folders = [str(whole)]
    longer = f"--seconds={seconds} " if seconds else ""
    return f"dsbench bench {longer}{shlex.join(folders)}"


def effects(judged: Judged) -> str:
    """The factorial of a group in one sentence; empty where it is none."""
    if judged.factorial is None:
        return ""
    parts = [
        f"{effect.name} {signed(effect.better)}, {effect.better.answer}"
        for effect in judged.factorial.effects
        if effect.better.mean is not None
    ]
    return f"Block and topology apart at {judged.name}: {'; '.join(parts)}." if parts else ""

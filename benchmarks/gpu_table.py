"""What gpu.py has measured, as a page in Markdown: rates, ratios with their spread, and the goals beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from table import Spread
from ways import WAYS

from dsbench.training.stop import TRAIN_PASSES

GOALS = {("d", "a"): 10.0, ("d", "b"): 2.0, ("g", "e"): 8.0, ("g", "f"): 3.0}
REHEARSAL = "**A rehearsal, on a CPU or few images: the figures say nothing about a card.**"


@dataclass(frozen=True)
class Measurement:
    """One result of ways.py; `number` is that of workers (a), seeds (e, g) or processes (f)."""

    network: str
    way: str
    number: int
    turn: int
    result: dict[str, Any]

    @property
    def rate(self) -> float | None:
        """Images a second, all seeds and processes together."""
        return self.result.get("images_per_second")

    @property
    def why_not(self) -> str:
        """Why there is no rate."""
        skipped = self.result.get("skipped")
        return f"skipped: {skipped}" if skipped else f"failed: {self.result['error']}"


def best_number(measurements: Sequence[Measurement], network: str, way: str) -> int | None:
    """The number of workers or processes with the highest rate; None where none has one."""
    own = [m for m in measurements if (m.network, m.way) == (network, way) and m.rate]
    return max(own, key=lambda m: m.rate or 0.0).number if own else None


def page(facts: dict[str, Any], measurements: Sequence[Measurement], operators: str, left_out: Sequence[str]) -> str:
    """The whole page."""
    sections = [
        "# dsbench on a GPU",
        *([REHEARSAL] if facts["rehearsal"] else []),
        _where(facts),
        "\n".join(f"- {way}: {words}" for way, words in WAYS.items()),
        "Images a second in training, median over turns (least to greatest where there are several); ratios turn by "
        "turn. MACs are those of a step: all images of a batch, forward and backward.",
        _speed(measurements, not facts["rehearsal"]),
        _fused(measurements, not facts["rehearsal"]),
        _share(measurements),
        _formats(measurements),
        *(["## Operators of fused networks", operators] if operators else []),
        _missing(measurements, left_out),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _where(facts: dict[str, Any]) -> str:
    card, versions = facts["card"], facts["machine"]["versions"]
    name = card.get("name") or facts["machine"]["processor"]
    driver = f", driver {card['driver']}, CUDA {facts['cuda']}, cuDNN {facts['cudnn']}" if "driver" in card else ""
    random = " and ".join(facts["random_images"])
    images = f" Images of {random} are random: there were none." if random else ""
    return (
        f"{name}{driver}; torch {versions['torch']}, Lightning {versions['pytorch-lightning']}; {facts['date']}; "
        f"commit {facts['commit']}; {facts['precision']}, {facts['images']} images an epoch (a: a quarter), "
        f"{facts['epochs']} epochs of which the first warms up; load average {facts['load_average']:.2f}, "
        f"{facts['machine']['cores']} CPU cores. `{facts['command']}`.{images}"
    )


def _rates(measurements: Sequence[Measurement], network: str, way: str) -> dict[int, float]:
    """By turn, with the best number of workers or processes."""
    number = best_number(measurements, network, way)
    own = [m for m in measurements if (m.network, m.way, m.number) == (network, way, number)]
    return {m.turn: m.rate for m in own if m.rate}


def _rate(measurements: Sequence[Measurement], network: str, way: str) -> str:
    return _shown(list(_rates(measurements, network, way).values()), ",.0f")


def _ratio(measurements: Sequence[Measurement], network: str, way: str, other: str, judged: bool = False) -> str:
    """How many times as fast `way` is as `other`; `judged` by the goal where there is one."""
    ours, theirs = (_rates(measurements, network, each) for each in (way, other))
    ratios = [ours[turn] / theirs[turn] for turn in ours if turn in theirs]
    goal = GOALS.get((way, other)) if judged else None
    if not ratios:
        return "-"
    verdict = "" if goal is None else f", {'met' if median(ratios) >= goal else 'not met'}"
    return f"{_shown(ratios, '.2f')}, n={len(ratios)}{verdict}"


def _shown(values: Sequence[float], form: str) -> str:
    spread = Spread.of(values)
    if spread is None:
        return "-"
    several = f" ({spread.least:{form}} to {spread.greatest:{form}})" if len(values) > 1 else ""
    return f"{spread.median:{form}}{several}"


def _table(title: str, columns: dict[str, Callable[[str], str]], names: Sequence[str]) -> str:
    """A Markdown table with a row for each network; nothing where there are none."""
    if not names:
        return ""
    head = ["network", *columns]
    rows = [[name, *(cell(name) for cell in columns.values())] for name in names]
    lines = [head, ["---", *("--:" for _ in columns)], *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(measurements: Sequence[Measurement], ways: str) -> list[str]:
    return list(dict.fromkeys(m.network for m in measurements if m.way[0] in ways))


def _macs(measurements: Sequence[Measurement], network: str) -> float | None:
    """Thousands of millions of a step of one seed, all passes."""
    known = (m.result for m in measurements if m.network == network and "macs" in m.result)
    return next((TRAIN_PASSES * result["macs"] * result["batch_size"] / 1e9 for result in known), None)


def _macs_shown(measurements: Sequence[Measurement], network: str) -> str:
    macs = _macs(measurements, network)
    return "-" if macs is None else f"{macs:,.2f}"


def _speed(all_: Sequence[Measurement], judged: bool) -> str:
    def workers(name: str) -> str:
        number = best_number(all_, name, "a")
        return _rate(all_, name, "a") + ("" if number is None else f", {number} workers")

    columns: dict[str, Callable[[str], str]] = {
        "10^9 MACs": lambda name: _macs_shown(all_, name),
        "a": workers,
        **{way: lambda name, way=way: _rate(all_, name, way) for way in "bcd"},  # type: ignore[misc]
        "c/a": lambda name: _ratio(all_, name, "c", "a"),
        "c/b": lambda name: _ratio(all_, name, "c", "b"),
        f"d/a, goal {GOALS['d', 'a']:g}": lambda name: _ratio(all_, name, "d", "a", judged),
        f"d/b, goal {GOALS['d', 'b']:g}": lambda name: _ratio(all_, name, "d", "b", judged),
    }
    return _table("One run", columns, _named(all_, "abcd"))


def _fused(all_: Sequence[Measurement], judged: bool) -> str:
    def processes(name: str) -> str:
        number = best_number(all_, name, "f")
        return _rate(all_, name, "f") + ("" if number is None else f", {number} processes")

    def whole(name: str) -> str:
        by_way = {
            way: {m.turn: m.result["whole_seconds"] for m in all_ if (m.network, m.way) == (name, way) and m.rate}
            for way in "eg"
        }
        return _shown([by_way["e"][turn] / s for turn, s in by_way["g"].items() if turn in by_way["e"]], ".2f")

    columns: dict[str, Callable[[str], str]] = {
        "seeds": lambda name: "/".join(dict.fromkeys(str(m.number) for m in all_ if m.way in "eg")),
        "e": lambda name: _rate(all_, name, "e"),
        "f": processes,
        "g": lambda name: _rate(all_, name, "g"),
        f"g/e, goal {GOALS['g', 'e']:g}": lambda name: _ratio(all_, name, "g", "e", judged),
        f"g/f, goal {GOALS['g', 'f']:g}": lambda name: _ratio(all_, name, "g", "f", judged),
        "g/e, whole sweeps": whole,
    }
    return _table("Seeds in one program", columns, _named(all_, "eg"))


def _share(all_: Sequence[Measurement]) -> str:
    first = [m for m in all_ if m.way == "f" and m.turn == 1 and m.rate]
    names = sorted(_named(first, "f"), key=lambda name: _macs(all_, name) or 0.0)

    def total(name: str, number: int) -> str:
        rates = {m.number: m.rate or 0.0 for m in first if m.network == name}
        return f"{rates[number] / rates[1]:.2f}" if number in rates and 1 in rates else "-"

    columns: dict[str, Callable[[str], str]] = {"10^9 MACs": lambda name: _macs_shown(all_, name)}
    columns["1 process, images/s"] = lambda name: next(
        (f"{m.rate:,.0f}" for m in first if (m.network, m.number) == (name, 1)), "-"
    )
    for number in sorted({m.number for m in first} - {1}):
        columns[f"{number}: times as many"] = lambda name, number=number: total(name, number)  # type: ignore[misc]
    columns["best"] = lambda name: str(best_number(first, name, "f"))
    return _table("Processes that share a card, by the MACs of a step", columns, names)


def _formats(all_: Sequence[Measurement]) -> str:
    columns: dict[str, Callable[[str], str]] = {
        "channels_last": lambda name: _rate(all_, name, "b"),
        "contiguous": lambda name: _rate(all_, name, "b contiguous"),
        "channels_last/contiguous": lambda name: _ratio(all_, name, "b", "b contiguous"),
    }
    return _table("Memory formats, in the plain loop", columns, _named(all_, "b"))


def _missing(measurements: Sequence[Measurement], left_out: Sequence[str]) -> str:
    """What has no figure, and why, each reason once."""
    reasons: dict[str, list[str]] = {}
    for m in measurements:
        if not m.rate:
            reasons.setdefault(f"{m.way} {m.why_not}", []).append(m.network)
    lines = [f"- {reason} ({', '.join(dict.fromkeys(names))})" for reason, names in reasons.items()]
    lines += [f"- no time for {part}" for part in left_out]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""

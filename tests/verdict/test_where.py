"""Where does it win? Counts of chips join what makes a network lighter, their times what makes it faster."""

from __future__ import annotations

from typing import Any

import pytest
from made import budget, cell, pair, repeats, timed, verdict

from dsbench.figures import chips
from dsbench.report.answers import answer_lines, verdict_tables, where_it_wins
from dsbench.tables import is_equal
from dsbench.verdict.chips import winner
from dsbench.verdict.rule import Answer
from dsbench.verdict.sentences import winners
from dsbench.verdict.words import summary

ACCURACIES = [0.9, 0.91, 0.92]
SAME = {"params": 1000, "macs": 1000, "acts": 1000, "bytes": 1000}


def asked(
    records: list[dict[str, Any]], ms: float | None = None, session: str = "a", spread: float = 0.0, **counts: float
) -> list[dict[str, Any]]:
    """The same, of which chips were asked about the first run: its time in LiteRT, its `counts` on others."""
    chips: dict[str, Any] = {}
    if ms is not None:
        values = [ms * (1 + spread * (-1) ** number) for number in range(5)]
        time = {"median": ms, "iqr": 0.0, "settled": True, "session": "x", "repeats": repeats(values, session)}
        chips["litert"] = {
            **{"title": "litert (threads 1)", "versions": {"ai-edge-litert": "2"}, "measured_on": "a CPU"},
            **{"int8": {"file_bytes": 9000, "latency_ms": time}},
        }
    if "arena_bytes" in counts:
        chips["tflm"] = {"title": "tflm", "versions": {}, "int8": {"arena_bytes": counts["arena_bytes"]}}
    if "cycles" in counts:
        chips["u55"] = {"title": "u55 (x)", "versions": {}, "int8": {"cycles": counts["cycles"], "file_bytes": 9000}}
    return [records[0] | {"chips": chips}, *records[1:]]


def two(before: dict[str, Any], after: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [asked(cell(ACCURACIES, **SAME), **before), asked(cell(ACCURACIES, "dwsep", **SAME), **after)]


def test_what_chips_count_makes_a_network_lighter() -> None:
    assert pair(*two({}, {})).answers["lighter"] is Answer.EQUAL
    found = pair(*two({"arena_bytes": 1000}, {"arena_bytes": 900}))
    assert found.answers["lighter"] is Answer.LIGHTER
    assert [str(line) for line in summary(found, "lighter")] == ["lighter", "tflm arena x 0.9"]
    assert pair(*two({"arena_bytes": 1000}, {"arena_bytes": 1005})).answers["lighter"] is Answer.EQUAL
    mixed = pair(*two({"arena_bytes": 1000, "cycles": 500}, {"arena_bytes": 900, "cycles": 600}))
    assert mixed.answers["lighter"] is Answer.MIXED
    assert [measure.estimated for measure in mixed.chips] == [False, True]
    assert str(summary(mixed, "lighter")[-1]) == "u55 cycles (estimate) x 1.2"
    estimates = [
        pair(*two({"cycles": 1000}, {"cycles": cycles})).answers["lighter"] for cycles in (1095, 1105, 915, 905)
    ]
    assert estimates == [Answer.EQUAL, Answer.HEAVIER, Answer.EQUAL, Answer.LIGHTER]


@pytest.mark.parametrize(
    ("ms", "spread", "session", "answer"),
    [
        (2.0, 0.0, "a", Answer.SLOWER),
        (0.5, 0.0, "a", Answer.FASTER),
        (1.05, 0.0, "a", Answer.AS_FAST),
        (1.05, 0.3, "a", Answer.CANNOT_TELL),
        (2.0, 0.0, "b", Answer.NOT_COMPARABLE),  # they took no turns
    ],
)
def test_a_time_on_a_chip_follows_the_rules_of_times(ms: float, spread: float, session: str, answer: Answer) -> None:
    found = pair(*two({"ms": 1.0}, {"ms": ms, "session": session, "spread": spread}))
    measure, size = found.chips
    assert (size.name, size.answer) == ("litert int8 file bytes", Answer.EQUAL)
    assert (measure.answer, measure.where) == (answer, "litert int8")
    assert (measure.interval is not None) == (answer is not Answer.NOT_COMPARABLE)
    assert found.answers["faster"] is answer  # nothing else is timed
    measured = [timed(records, step) for records, step in zip(two({"ms": 1.0}, {"ms": ms}), (1.0, 2.0), strict=True)]
    agree = pair(*measured).answers["faster"]
    assert agree is (Answer.SLOWER if ms == 2 else Answer.MIXED)  # torch is slower in all


def test_where_the_winner_changes_is_said_and_what_may_be_equal_is_no_win() -> None:
    cells = two({"ms": 1.0, "arena_bytes": 1000, "cycles": 500}, {"ms": 0.5, "arena_bytes": 2000, "cycles": 502})
    judged = verdict(*cells)
    (sentence,) = winners(judged)
    assert sentence == (
        "At 1,000 parameters the winner changes with the chip: the separable network is ahead on litert int8 (x 0.5); "
        "the conventional network is ahead on tflm int8 (x 2); neither is on u55 int8 (x 1)."
    )
    table = where_it_wins(judged)
    assert table is not None
    assert table.texts["by"] == ["time", "arena", "cycles (estimate)"]
    (ratios,) = (texts for heading, texts in table.texts.items() if heading.startswith("dwsep against cnn"))
    assert ratios == ["x 0.5 (0.5 to 0.5)", "x 2", "equal (+0.4 %)"]


def test_torch_stands_beside_the_chips_and_without_chips_there_is_no_such_table() -> None:
    measured = [timed(records, step) for records, step in zip(two({}, {}), (1.0, 2.0), strict=True)]
    assert where_it_wins(verdict(*measured)) is None
    assert winners(verdict(*measured)) == []
    with_chip = two({"arena_bytes": 1000}, {"arena_bytes": 1500})
    judged = verdict(*(timed(records, step) for records, step in zip(with_chip, (1.0, 2.0), strict=True)))
    assert winners(judged) == [
        "At 1,000 parameters the conventional network is ahead on torch (x 2) and tflm int8 (x 1.5)."
    ]
    assert f"{judged.groups[0].name}: on chips" in [table.title for table in verdict_tables(judged)]


def test_what_a_chip_says_of_one_network_alone_compares_nothing() -> None:
    found = pair(*two({"ms": 1.0, "arena_bytes": 1000}, {"arena_bytes": 1000}))
    assert [measure.name for measure in found.chips] == ["tflm int8 arena"]


def test_of_many_comparisons_it_is_said_in_how_many_the_winner_changes() -> None:
    cells = []
    for width in (4, 8, 16, 32):
        facts = dict.fromkeys(SAME, width * 1000) | {"width": width}
        ahead = 900 if width > 4 else 1100
        cells.append(asked(cell(ACCURACIES, **facts), arena_bytes=1000, cycles=1000))
        cells.append(asked(cell(ACCURACIES, "dwsep", **facts), arena_bytes=1100, cycles=ahead))
    assert winners(verdict(*cells)) == ["The winner changes with the chip in 3 of 4 comparisons."]


def test_tables_of_some_of_all_comparisons_say_how_many_are_left_out() -> None:
    cells = [asked(cell(ACCURACIES, **SAME, width=width), arena_bytes=1000 + width) for width in range(6)]
    judged = verdict(*cells)  # 15 pairs
    assert len(judged.comparisons) == 15
    table, lines = where_it_wins(judged), answer_lines(judged, 12)
    assert table is not None
    assert (table.title, len(table.columns)) == ("Where it wins, in 7 of 15 comparisons", 2 + 7)
    assert lines.note == "and 3 more pairs"
    assert not answer_lines(judged).note


def test_what_a_group_is_matched_by_on_a_chip_decides_nothing_and_has_no_winner() -> None:
    at_most = budget(2500, "arena_bytes", chip="tflm")
    cells = [
        asked(cell(ACCURACIES, model, **SAME, **at_most), ms=1.0, arena_bytes=arena, cycles=cycles)
        for model, arena, cycles in (("cnn", 2000, 500), ("dwsep", 2500, 400))
    ]
    judged = verdict(*cells)
    (found,) = judged.groups[0].comparisons
    assert judged.groups[0].name == "equal arena on tflm (at most 2,500 B)"
    arena, cycles = (next(one for one in found.chips if one.figure == name) for name in ("arena_bytes", "cycles"))
    assert (arena.matched, arena.answer, winner(arena)) == (True, Answer.EQUAL, 0)
    assert (cycles.matched, cycles.answer) == (False, Answer.LIGHTER)
    assert [str(line) for line in summary(found, "lighter")] == ["lighter", "u55 cycles (estimate) x 0.8"]
    assert winners(judged) == [
        "At equal arena on tflm (at most 2,500 B) the separable network is ahead on u55 int8 (x 0.8); "
        "neither is on litert int8 (x 1)."
    ]
    table = where_it_wins(judged)
    assert table is not None
    (fields,) = (texts for heading, texts in table.texts.items() if heading.startswith("dwsep against cnn"))
    assert fields == ["(x 1 (1 to 1))", "matched (+25 %)", "x 0.8"]
    assert [is_equal(field) for field in fields] == [True, True, False]  # only the last is bold
    (asked_for,) = verdict(*cells, compare="cnn,dwsep").comparisons
    assert next(one for one in asked_for.chips if one.figure == "arena_bytes").matched
    alone = [asked(cell(ACCURACIES, model, **SAME, **at_most), arena_bytes=2000) for model in ("cnn", "dwsep")]
    assert where_it_wins(verdict(*alone)) is None
    assert chips.draw(verdict(*alone).comparisons) is None


def test_a_cost_in_another_unit_is_no_other_cost() -> None:
    """Cycles are a compiler's time by a clock, and flash is the file where that is all there is."""

    def said(model: str, size: int, cycles: int, chip: str, cost: str) -> list[dict[str, Any]]:
        of_u55 = {"cycles": cycles, "estimated_ms": cycles / 500e3, "sram_bytes": size}
        of_tflm = {"arena_bytes": 2 * size + 100, "flash_bytes": size, "file_bytes": size}
        chips = {"u55": {"title": "u55", "versions": {}, "int8": of_u55}}
        chips |= {"tflm": {"title": "tflm", "versions": {}, "int8": of_tflm}}
        return [record | {"chips": chips} for record in cell(ACCURACIES, model, **SAME, **budget(1, cost, chip=chip))]

    def matched(chip: str, cost: str) -> list[tuple[str, str]]:
        found = pair(said("cnn", 2000, 100_000, chip, cost), said("dwsep", 2500, 150_003, chip, cost))
        return [(one.chip, one.figure) for one in found.chips if one.matched]

    assert matched("u55", "estimated_ms") == matched("u55", "cycles") == [("u55", "cycles")]
    assert matched("tflm", "file_bytes") == matched("tflm", "flash_bytes") == [("tflm", "flash_bytes")]
    assert matched("tflm", "arena_bytes") == [("tflm", "arena_bytes")]


def test_of_a_chip_in_two_precisions_that_which_was_counted_is_matched() -> None:
    def said(model: str, size: int) -> list[dict[str, Any]]:
        arenas = {precision: {"arena_bytes": size} for precision in ("fp32", "int8")}
        records = cell(ACCURACIES, model, **SAME, **budget(2500, "arena_bytes", chip="tflm"))
        return [record | {"chips": {"tflm": {"title": "tflm", "versions": {}, **arenas}}} for record in records]

    found = pair(said("cnn", 2000), said("dwsep", 2500))
    assert {one.precision: one.answer for one in found.chips} == {"fp32": Answer.HEAVIER, "int8": Answer.EQUAL}
    assert found.answers["lighter"] is Answer.HEAVIER

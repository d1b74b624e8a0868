"""Rooflines in the records of runs, and the pictures of a sweep that follow from them."""

from __future__ import annotations

import json
from typing import Any

import made_up
import pytest
from made import cell, verdict

from dsbench.conclude import Share
from dsbench.measure.roofline_record import read, section
from dsbench.report.album import reasons, rooflines
from dsbench.run.record import Record

PLACE = {"device": "a processor", "precision": "32", "threads": 1}
FIRST = made_up.roofline("cnn", dense_conv=(4.0, 1e8, 1.0, 2.0), loss=(1.0, 0, 0.1, 0.2))
SECOND = made_up.roofline("dwsep", depthwise=(6.0, 1e7, 0.5, 2.0), pointwise=(2.0, 3e7, 1.0, 0.3), busy=None)


def test_what_is_recorded_is_read_as_it_was() -> None:
    for line in (FIRST, SECOND):
        kept = json.loads(json.dumps(section(line, "a")))["roofline"]
        assert read(kept, line.name, PLACE) == line
    assert section(None, "a") == {}


def typed(records: dict[str, Any]) -> dict[str, Record]:
    return {run_id: Record.of(record) for run_id, record in records.items()}


def lined(records: list[dict[str, Any]], line: Any, session: str) -> list[dict[str, Any]]:
    return [record | section(line, session) | {"measured_on": PLACE} for record in records]


def test_those_of_the_last_session_are_drawn_and_say_why() -> None:
    cells = [
        lined(cell([0.9]), FIRST, "2026 a"),
        lined(cell([0.9], "dwsep"), SECOND, "2026 a"),
        cell([0.9], "hybrid"),
    ]
    judged = verdict(*cells)
    records = {record["run_id"]: record for some in cells for record in some}
    lines = rooflines(judged.cells, typed(records))
    assert [record.name for record in lines.values()] == ["cnn", "dwsep"]
    (why,) = reasons(judged, lines)
    assert why.startswith(
        "Layer by layer, in a measurement of its own: dwsep has 0.40 times the MACs of cnn and takes 1.60 times its "
        "time: fewer MACs, yet slower;"
    )
    records[cells[1][0]["run_id"]] |= section(SECOND, "2027 b")  # measured anew, by itself
    later = rooflines(judged.cells, typed(records))
    assert len(later) == 1
    assert reasons(judged, later) == []
    for damaged in ({}, None, {"session": "2028 c", "layers": 3}):
        records[cells[1][0]["run_id"]]["roofline"] = damaged
        assert [record.name for record in rooflines(judged.cells, typed(records)).values()] == ["cnn"]


def test_the_session_in_which_most_were_measured_is_drawn_and_not_too_many() -> None:
    cells = [lined(cell([0.9], width=width), FIRST, "2026 a") for width in range(1, 7)]
    records = {record["run_id"]: record for some in cells for record in some}
    more = lined(cell([0.9], width=7), FIRST, "2027 b")
    judged = verdict(*cells, more)
    assert len(rooflines(judged.cells, typed(records | {more[0]["run_id"]: more[0]}))) == 6
    many = lined(more, FIRST, "2026 a")
    assert rooflines(judged.cells, typed(records | {many[0]["run_id"]: many[0]})) == {}


@pytest.mark.parametrize(
    ("cells", "minutes", "share"),
    [
        (2, 1.0, Share(60, 35 / 32, True)),  # five processes start, a roofline's rates are measured
        (2, 60.0, Share(3600, 2.0, True)),
        (2, 0.5, Share(30, 15 / 30, False)),  # the rates would take most of it
        (2, 0.22, Share(13.2, 0.2, False)),  # enough for three repeats
        (6, 1.0, Share(60, 45 / 90, False)),
        (4, 1.0, Share(60, 35 / 64, True)),
        (5, 1.0, Share(60, 45 / 75, False)),
        (6, 1.3, Share(78, 53 / 96, True)),
        (6, 1.5, Share(90, 65 / 96, True)),
        (7, 2.1, Share(126, 111 / 105, False)),  # too many panels
        (2, 0.16, None),
        (40, 1.0, None),
        (40, 2.0, Share(120, 0.2, False)),
        (0, 1.0, None),
    ],
)
def test_the_minutes_are_shared_by_all_measurements(cells: int, minutes: float, share: Share | None) -> None:
    computed = Share.of(cells, minutes)
    assert (computed is None) == (share is None)
    if share is not None:
        assert computed is not None
        assert (computed.within, computed.seconds) == pytest.approx((share.within, share.seconds))
        assert computed.roofline is share.roofline


@pytest.mark.parametrize(("cells", "minutes"), [(1, 0.2), (2, 0.3), (20, 0.8), (28, 1.0), (29, 1.1), (100, 3.2)])
def test_the_least_minutes_are_the_first_tenth_of_which_there_is_a_share(cells: int, minutes: float) -> None:
    assert Share.least_minutes(cells) == minutes
    assert Share.of(cells, minutes) is not None
    assert Share.of(cells, minutes - 0.1) is None

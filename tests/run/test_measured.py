"""Measurements added to a record that others may write at the same time."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from dsbench.errors import InputError
from dsbench.run.bench import keep
from dsbench.run.record import Status
from dsbench.run.trained import Trained, add_to_record, load

HERE = {
    "device": "a CPU",
    "threads": 1,
    "precision": "32",
    "memory_format": "channels_last",
    "versions": {"torch": "2"},
}


@pytest.fixture
def done(finished: Path) -> Trained:
    """A run that is done."""
    return load(finished)


def section(latency: dict[str, Any], time: str = "noon", **where: Any) -> dict[str, Any]:
    return {"latency_ms": latency, "measured_on": HERE | {"time": time} | where}


def test_everything_else_in_the_record_stays_and_what_was_measured_before_in_the_same_place_too(done: Trained) -> None:
    files = {path: path.read_bytes() for path in done.folder.path.rglob("*") if path.is_file()}
    add_to_record(done, section({"batch_1": {"torch": {"median": 1.0}}, "batch_8": {}}))
    more = section({"batch_1": {"compiled": {"median": 2.0}}}, time="later") | {"peak_memory_bytes": 3}
    joined = add_to_record(done, more)
    latency = {"batch_1": {"torch": {"median": 1.0}, "compiled": {"median": 2.0}}, "batch_8": {}}
    measured = section(latency, time="later") | {"peak_memory_bytes": 3}
    assert done.folder.result() == joined == replace(done.record, measured=measured)
    after = {path: path.read_bytes() for path in done.folder.path.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != files.get(path)} == {done.folder.result_file}


def test_measuring_again_replaces_the_figures(done: Trained) -> None:
    for median in (1.0, 2.0):
        add_to_record(done, section({"batch_1": {"torch": {"median": median}}}))
    assert done.folder.result().measured["latency_ms"] == {"batch_1": {"torch": {"median": 2.0}}}


def test_repeats_of_later_sessions_are_added_to_the_earlier_ones_and_none_twice(done: Trained) -> None:
    def repeats(*sessions: str) -> list[dict[str, Any]]:
        return [{"session": session, "at": "2026-11-28", "ms": 1.0} for session in sessions]

    for median, sessions in ((1.0, "ab"), (2.0, "bc"), (3.0, "d")):
        latency = {"batch_1": {"torch": {"median": median, "repeats": repeats(*sessions)}}}
        joined = add_to_record(done, section(latency))
    entry = joined.measured["latency_ms"]["batch_1"]["torch"]
    assert entry == {"median": 3.0, "repeats": repeats(*"abcd")}


OTHER = [{"device": "a GPU"}, {"threads": 2}, {"versions": {"torch": "3"}}, {"identity": {"stepping": "2"}}]


@pytest.mark.parametrize("where", OTHER)
def test_what_was_measured_elsewhere_goes_so_that_measured_on_is_true_of_all(
    done: Trained, where: dict[str, Any]
) -> None:
    add_to_record(done, section({"batch_1": {"torch": {"median": 1.0}}}) | {"peak_memory_bytes": 3})
    other = section({"batch_8": {"torch": {"median": 2.0}}}, **where)
    assert add_to_record(done, other) == replace(done.record, measured=other)


@pytest.mark.parametrize("entries", [{"finished": "2031-01-01T00:00:00+00:00"}, {"status": Status.RUNNING}])
def test_a_run_trained_anew_meanwhile_keeps_its_new_record(done: Trained, entries: dict[str, Any]) -> None:
    done.folder.write_result(replace(done.record, **entries))
    with pytest.raises(InputError, match="has been trained anew since it was measured; measure it again"):
        add_to_record(done, section({}))
    assert done.folder.result() == replace(done.record, **entries)


def test_whoever_has_the_run_is_waited_for(done: Trained) -> None:
    held, waited_for = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(done.folder.path / ".lock"):
            held.set()
            waited_for.wait(10)
            done.folder.write_result(replace(done.record, more={"more": 1}))

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    waited: list[Path] = []

    def waiting(path: Path, owner: object) -> None:
        waited.append(path)
        waited_for.set()

    keep(done, section({}), waiting)
    other.join()
    assert waited == [done.folder.path]
    assert done.folder.result() == replace(done.record, more={"more": 1}, measured=section({}))

"""What a sweep decides for all of its runs."""

from __future__ import annotations

from dsbench.sweep.conduct import with_settled


def test_what_a_job_decides_by_itself_is_left_to_it() -> None:
    assert with_settled(["width=4", "threads=2"], ["threads=1"]) == ["width=4", "threads=2"]
    assert with_settled(["width=4"], ["threads=1"]) == ["width=4", "threads=1"]

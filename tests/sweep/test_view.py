"""What a sweep shows in a terminal while it runs, whatever the terminal's size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import scipy.stats
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console

from dsbench.sweep.launch import view
from dsbench.sweep.launch.time_left import seconds_left
from dsbench.sweep.launch.view import Board, Cell, Shown, View


class Clock:
    """A time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(view, "time", clock)
    return clock


def console(width: int = 80, height: int = 24) -> Console:
    """A terminal whose screen a test can read."""
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def board(cells: int, seeds: int = 2) -> Board:
    """Cells of as many runs, none of them done."""
    rows = [Cell(f"cnn, width {number}", seeds) for number in range(cells)]
    jobs = [Shown(row, f"cnn w{number} s{seed}") for number, row in enumerate(rows) for seed in range(seeds)]
    return Board(rows, jobs)


@contextmanager
def shown(of: Board, at: Console) -> Iterator[View]:
    """The view of the jobs of a board, two at once."""
    cells = [job.cell.name for job in of.jobs]
    with View([job.label for job in of.jobs], cells, 2, at, of) as out:
        yield out


def ended(view: View, number: int, accuracy: float | None, status: str = "done") -> None:
    """A job starts and ends so."""
    view.started(number)
    view.heard(number, {"kind": "finished", "status": status, "test_acc": accuracy})
    view.ended(number, JobReturn(status=JobStatus.COMPLETED), again=False)


def screen(view: View) -> list[str]:
    """The lines of the picture."""
    beside = console(view.console.width, view.console.height)  # what is drawn in place moves the cursor too
    beside.print(view._screen())
    assert isinstance(beside.file, io.StringIO)
    return beside.file.getvalue().splitlines()


def line(view: View, start: str) -> str:
    """The line that starts so."""
    (found,) = (" ".join(line.split()) for line in screen(view) if line.startswith(start))
    return found


def test_cells_fill_in_with_the_mean_and_interval_of_the_runs_that_are_done(clock: Clock) -> None:
    with shown(board(2, 3), console()) as view:
        assert line(view, "cnn, width 0") == "cnn, width 0 0/3"
        ended(view, 0, 0.90)
        assert line(view, "cnn, width 0") == "cnn, width 0 1/3 90.00 %"
        ended(view, 1, 0.91, "done, undertrained")
        half = scipy.stats.t.ppf(0.975, 1) * 0.5  # sd / sqrt(2) of 90 and 91
        assert line(view, "cnn, width 0") == f"cnn, width 0 2/3 90.50 ± {half:.2f} %"
        ended(view, 2, 0.10, "collapsed")
        assert line(view, "cnn, width 0") == f"cnn, width 0 2/3 90.50 ± {half:.2f} % 1 collapsed"
        view.started(3)
        view.heard(3, {"kind": "started", "epochs": 4, "log": "log"})
        view.heard(3, {"kind": "epoch", "epoch": 1, "val_acc": 0.5})
        clock.now += 7
        assert line(view, "cnn w1 s0") == "cnn w1 s0 1/4 50.00 % 7 s"


def test_runs_that_were_done_before_count_too() -> None:
    of = board(1, 3)
    of.cells[0].take("done", 0.8)
    with shown(Board(of.cells, of.jobs[1:]), console()) as view:
        assert "1 of 3 done" in screen(view)[-1]
        ended(view, 0, 0.81)
        assert "2 of 3 done" in screen(view)[-1]
        assert line(view, "cnn, width 0").startswith("cnn, width 0 2/3 80.50 ±")


@pytest.mark.parametrize("height", [10, 16, 24, 40])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_picture_fits_and_keeps_what_changed_last(width: int, height: int) -> None:
    with shown(board(50), console(width, height)) as view:
        for number in (60, 61, 98):
            ended(view, number, 0.5)
        view.started(2)
        view.started(99)
        lines = screen(view)
        assert len(lines) < height
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert "cnn, width 49" in text
        assert "more cells" in text
        room = sum(line.startswith("cnn, ") for line in lines)
        assert f"and {50 - room} more cells" in text
        if room >= 3:
            assert [line.split()[2] for line in lines if "%" in line and line.startswith("cnn, ")] == ["30", "49"]


def test_there_is_no_table_of_what_runs_while_nothing_does() -> None:
    with shown(board(1), console()) as view:
        assert not any(line.startswith("running") for line in screen(view))
        view.started(0)
        assert any(line.startswith("running") for line in screen(view))
        ended(view, 1, 0.5)
        view.ended(0, JobReturn(status=JobStatus.COMPLETED), again=False)
        assert not any(line.startswith("running") for line in screen(view))


def test_a_failure_has_a_line_that_stays_above() -> None:
    at = console()
    with shown(board(1), at) as view:
        view.started(0)
        job = JobReturn(status=JobStatus.FAILED)
        job.return_value = RuntimeError("no memory")
        view.ended(0, job, again=False)
        assert line(view, "cnn, width 0") == "cnn, width 0 0/2 1 failed"
        assert "1 failed" in screen(view)[-1]
    assert isinstance(at.file, io.StringIO)
    assert "cnn w0 s0: failed: no memory" in at.file.getvalue()


def test_the_picture_is_drawn_at_most_twice_a_second(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with shown(board(2), console()) as view:
        drawn: list[float] = []
        assert view._live is not None
        monkeypatch.setattr(view._live, "update", lambda *_, **__: drawn.append(clock.now))
        view.started(0)
        for tick in range(100):
            clock.now += 0.1
            view.heard(0, {"kind": "epoch", "epoch": tick, "val_acc": 0.5})
            view.refresh()
        assert 15 <= len(drawn) <= 20
        for _ in range(100):
            clock.now += 0.1
            view.refresh()
        assert len(drawn) <= 32


def test_what_the_plan_expects_is_scaled_by_what_has_ended() -> None:
    """Cells of a third of the time say what the large one will take: that too."""
    expected = {"small": 3.0, "large": 30.0}
    assert seconds_left({}, [("small", 0.0), ("large", 0.0)], 1, expected) == 33.0
    assert seconds_left({"small": [1.0]}, [("large", 0.0)], 1, expected) == pytest.approx(10.0)
    assert seconds_left({"small": [1.0], "large": [9.0]}, [("large", 2.0)], 1, expected) == pytest.approx(7.0)


def test_a_pipe_gets_a_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    of = board(1)
    with View(["seed=0", "seed=1"], ["a", "a"], 2, board=of) as piped:
        ended(piped, 0, 0.5)
        piped.refresh()
    assert capsys.readouterr().out == "[1/2] seed=0: started\n[1/2] seed=0: done, test 50.00 %, 0 s\n"


def group() -> Board:
    """A cell of five runs, three of them trained as one job."""
    cell = Cell("cnn, width 0", 5)
    return Board([cell], [Shown(cell, "cnn w0 seeds 0-2", 3), Shown(cell, "cnn w0 s3"), Shown(cell, "cnn w0 s4")])


def finish(view: View, number: int, seed: int, accuracy: float, status: str = "done") -> None:
    view.heard(number, {"kind": "finished", "seed": seed, "status": status, "test_acc": accuracy})


def test_a_group_is_a_line_and_its_runs_count_one_by_one(clock: Clock) -> None:
    """Also where its process dies, and tells once more of those that were done."""
    with shown(group(), console()) as view:
        view.started(0)
        for seed in range(3):
            view.heard(0, {"kind": "started", "seed": seed, "epochs": 4, "log": f"log {seed}"})
            view.heard(0, {"kind": "epoch", "seed": seed, "epoch": 2, "val_acc": 0.5 + seed / 10})
        clock.now += 7
        assert line(view, "cnn w0 seeds 0-2") == "cnn w0 seeds 0-2 2/4 60.00 % 7 s"
        assert "0 of 5 done" in screen(view)[-1]
        finish(view, 0, 1, 0.9)
        assert line(view, "cnn, width 0") == "cnn, width 0 1/5 90.00 %"
        assert "1 of 5 done" in screen(view)[-1]
        died = JobReturn(status=JobStatus.FAILED)
        died.return_value = RuntimeError("killed")
        view.ended(0, died, again=True)
        assert "failed" not in screen(view)[-1]
        view.started(0)
        finish(view, 0, 1, 0.9)
        finish(view, 0, 0, 0.9)
        assert "2 of 5 done" in screen(view)[-1]
        view.ended(0, died, again=False)
        assert line(view, "cnn, width 0") == "cnn, width 0 2/5 90.00 ± 0.00 % 1 failed"
        assert "2 of 5 done, 1 failed" in screen(view)[-1]
        ended(view, 1, 0.9)
        assert "3 of 5 done, 1 failed" in screen(view)[-1]


def test_a_pipe_has_a_line_for_the_start_and_the_end_of_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    with View(["seeds=0-2", "seed=3", "seed=4"], ["a"] * 3, 2, board=group()) as piped:
        piped.started(0)
        finish(piped, 0, 0, 0.5)
        finish(piped, 0, 1, 0.7, "done, undertrained")
        finish(piped, 0, 2, 0.1, "collapsed")
        piped.ended(0, JobReturn(status=JobStatus.COMPLETED), again=False)
        piped.started(1)
        piped.heard(1, {"kind": "started", "seed": 3, "epochs": 4, "log": "log 3"})
        broken = JobReturn(status=JobStatus.FAILED)
        broken.return_value = RuntimeError("no memory")
        piped.ended(1, broken, again=False)
    assert capsys.readouterr().out.splitlines() == [
        "[3/5] seeds=0-2: started",
        "[3/5] seeds=0-2: 2 done, 1 collapsed, mean test 43.33 %, 0 s",
        "[4/5] seed=3: started",
        "[3/5] seed=3: failed: no memory; log: log 3",
    ]


def test_a_sweep_that_explores_shows_validation_and_nothing_of_test_images(capsys: pytest.CaptureFixture[str]) -> None:
    def finished(view: View) -> None:
        view.started(0)
        for seed in range(3):
            accuracies = {"test_acc": 0.29, "best_val_acc": 0.71 + seed / 100}
            view.heard(0, {"kind": "finished", "seed": seed, "status": "done", **accuracies})

    with View(["seeds=0-2"] * 3, ["a"] * 3, 2, board=replace(group(), score="best_val_acc")) as piped:
        finished(piped)
        piped.ended(0, JobReturn(status=JobStatus.COMPLETED), again=False)
    assert capsys.readouterr().out.splitlines()[1] == "[3/5] seeds=0-2: 3 done, mean validation 72.00 %, 0 s"
    with shown(replace(group(), score="best_val_acc"), console()) as view:
        finished(view)
        text = " ".join(screen(view))
    assert "validation accuracy" in text
    assert "72.00" in text
    assert "test" not in text

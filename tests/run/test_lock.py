"""One process at a time has a run: on one machine by the system's lock, on several by a lease that is renewed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

import psutil
import pytest
from filelock import FileLock

from dsbench.run import lock
from dsbench.run.lock import (
    DEAD_SECONDS,
    LostLeaseError,
    Owner,
    claim,
    in_use,
    latest,
    locked,
    locked_if_free,
    this_process,
)
from dsbench.run.record import Record, Status

HOLD = """
import sys, time
from pathlib import Path
from dsbench.run import lock
from dsbench.run.lock import locked
folder, host = Path(sys.argv[1]), sys.argv[2] or None
with locked(folder, lambda *_: print("waiting", flush=True), host) as held:
    print("held", flush=True)
    for line in sys.stdin:
        lock.DEAD_SECONDS = float(line)  # of this process's own view of when to look
        held.check()
        print("mine", flush=True)
"""


def quiet(*_: object) -> None:
    """Nothing said while waiting."""


def never(*_: object) -> None:
    raise AssertionError("there was somebody to wait for")


class Process:
    """A process that holds the lock of a folder, on a host of its own if one is named."""

    def __init__(self, folder: Path, host: str = "") -> None:
        command = [sys.executable, "-c", HOLD, str(folder), host]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def look(self, dead_seconds: float) -> None:
        """Have it look whether it still has the lock."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{dead_seconds}\n")
        self.process.stdin.flush()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(host: str = "", says: str = "held") -> Process:
        made.append(Process(tmp_path, host))
        assert made[-1].hears() == says
        return made[-1]

    yield make
    for waiter in made:
        waiter.process.kill()
        waiter.process.communicate()


def written(folder: Path, owner: Owner, age_seconds: float = 0, number: int = 1) -> Path:
    """A lease as a process leaves it that has not renewed it for `age_seconds`."""
    file = folder / f".lease-{number}"
    file.write_text(json.dumps(vars(owner)))
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


@contextmanager
def held_by_system(folder: Path) -> Iterator[None]:
    with FileLock(folder / ".lock"):
        yield


def test_a_killed_process_is_followed_at_once(process: Callable[..., Process], tmp_path: Path) -> None:
    first = process()
    assert in_use(tmp_path)
    first.process.kill()
    first.process.wait()
    assert not in_use(tmp_path)
    with locked(tmp_path, never):
        assert latest(tmp_path).owner == this_process()  # type: ignore[union-attr]


def test_a_lock_given_back_is_followed_at_once_by_its_own_process_too(tmp_path: Path) -> None:
    for _ in range(3):
        with locked(tmp_path, never):
            assert in_use(tmp_path)
        assert not in_use(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lease-3", ".lock"]


def test_whoever_has_the_lock_is_named_and_waited_for(process: Callable[..., Process], tmp_path: Path) -> None:
    first = process()
    waits: list[tuple[Path, Owner | None]] = []

    def waiting(folder: Path, owner: Owner | None) -> None:
        waits.append((folder, owner))
        first.process.kill()

    with locked(tmp_path, waiting):
        pass
    ((folder, owner),) = waits
    assert folder == tmp_path
    assert str(owner) == f"process {first.process.pid} on {gethostname()}"


def test_another_process_with_the_owners_id_is_not_the_owner(tmp_path: Path) -> None:
    """Ids are used again: this very process has the one that the lease names, but was started at another time."""
    me = this_process()
    written(tmp_path, Owner(me.host, me.pid, me.started - 1000))
    with locked(tmp_path, never):
        assert latest(tmp_path).number == 2  # type: ignore[union-attr]


def test_a_zombie_holds_nothing(process: Callable[..., Process], tmp_path: Path) -> None:
    first = process()
    first.process.kill()
    deadline = time.monotonic() + 10
    while psutil.Process(first.process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    with locked(tmp_path, quiet):  # its threads may be a moment behind
        assert time.monotonic() - began < 10


def test_on_one_machine_the_systems_lock_is_the_truth(tmp_path: Path) -> None:
    """A process that cannot be seen, in another container say, may hold it."""
    written(tmp_path, Owner(gethostname(), 2**22 + 1, 0.0))  # no process has this id
    with held_by_system(tmp_path), locked_if_free(tmp_path) as free:
        assert not free
    with locked_if_free(tmp_path) as free:
        assert free


@pytest.mark.parametrize(("age_seconds", "free"), [(DEAD_SECONDS - 5, False), (DEAD_SECONDS + 1, True)])
def test_another_host_is_believed_for_a_minute(tmp_path: Path, age_seconds: float, free: bool) -> None:
    (tmp_path / ".lock").touch()
    written(tmp_path, Owner("elsewhere", 1, 0.0), age_seconds)
    assert in_use(tmp_path) != free
    with locked_if_free(tmp_path) as is_free:
        assert is_free == free


def test_a_lease_that_was_not_written_whole_is_believed_for_a_minute(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    file = tmp_path / ".lease-1"
    file.touch()
    for age_seconds, free in ((0.0, False), (DEAD_SECONDS + 1, True)):
        os.utime(file, (time.time() - age_seconds,) * 2)
        with locked_if_free(tmp_path) as is_free:
            assert is_free == free


def test_a_lease_is_renewed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.05)
    with locked(tmp_path, never):
        file = tmp_path / ".lease-1"
        for _ in range(2):
            os.utime(file, (1.0, 1.0))
            deadline = time.monotonic() + 10
            while file.stat().st_mtime == 1.0 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert file.stat().st_mtime == pytest.approx(time.time(), abs=5)


def test_a_process_that_stood_still_is_followed_and_notices(process: Callable[..., Process], tmp_path: Path) -> None:
    first = process("here")
    first.look(60)
    assert first.hears() == "mine"
    first.process.send_signal(signal.SIGSTOP)
    second = process("there", says="waiting")
    os.utime(tmp_path / ".lease-1", (time.time() - DEAD_SECONDS - 1,) * 2)
    assert second.hears() == "held"
    first.look(0)
    first.process.send_signal(signal.SIGCONT)
    _, err = first.process.communicate(timeout=30)
    owner = f"process {second.process.pid} on there"
    expected = f"LostLeaseError: {owner} has taken this run over while this process stood still"
    assert err.strip().splitlines()[-1].endswith(expected)
    second.look(0)
    assert second.hears() == "mine"  # the first gave back its own lease, not that of the second
    assert latest(tmp_path).number == 2  # type: ignore[union-attr]


RACE = """
import os, sys
from pathlib import Path
from dsbench.run.lock import claim, latest
from dsbench.run.lock import Owner
folder, rounds, racers = Path(sys.argv[1]), 25, 6
for number in range(rounds):
    stale = latest(folder)
    go, start = os.pipe()
    children = []
    for racer in range(racers):
        if (child := os.fork()) == 0:
            os.close(start)
            os.read(go, 1)
            os._exit(claim(folder, stale, Owner(f"host {racer}", 1, 0.0)) is not None)
        children.append(child)
    os.close(start)
    print(sum(os.waitpid(child, 0)[1] >> 8 for child in children), latest(folder).number)
"""


def test_of_several_that_follow_a_dead_owner_one_alone_wins(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", RACE, tmp_path], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"1 {number}" for number in range(1, 26)]


def test_one_that_saw_a_lease_long_past_does_not_win(tmp_path: Path) -> None:
    old = lock.Lease(1, None, 1.0)
    for number in (1, 4):  # the second was removed when the third was claimed, and so on
        written(tmp_path, Owner("elsewhere", 1, 0.0), number=number)
    assert claim(tmp_path, old, this_process()) is None
    assert latest(tmp_path).number == 4  # type: ignore[union-attr]
    assert not (tmp_path / ".lease-2").exists()


def test_a_folder_that_is_removed_ends_its_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder, never) as held:
        (folder / ".lease-1").unlink()
        with pytest.raises(LostLeaseError, match="another process has taken this run over"):
            held.confirm()


def test_a_run_that_was_taken_over_does_not_write_over_the_new_owners_record(
    trained: Callable[..., dict], planned: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the second epoch another host takes the run, as if this process had stood still, and writes its record."""
    from dsbench.training.classifier import Classifier

    line = "arch=mnist_7800_shallow width=2 train.max_epochs=3"
    folder = planned(line).folder  # type: ignore[attr-defined]
    start = Classifier.on_train_epoch_start
    theirs = Record(run_id=folder.path.name, status=Status.RUNNING, git_sha="the other")

    def taken(self: Classifier) -> None:
        start(self)
        if self.current_epoch == 1:
            claim(folder.path, latest(folder.path), Owner("there", 1, 0.0)).give_back()  # type: ignore[union-attr]
            written(folder.path, Owner("there", 1, 0.0), number=2)
            folder.write_result(theirs)
            checkpoint.append(folder.last.read_bytes())

    checkpoint: list[bytes] = []
    monkeypatch.setattr(Classifier, "on_train_epoch_start", taken)
    with pytest.raises(LostLeaseError, match="process 1 on there has taken this run over"):
        trained(line)
    assert folder.result() == theirs
    assert [folder.last.read_bytes()] == checkpoint

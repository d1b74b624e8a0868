"""A run ends when its time is over, whatever it is stuck in."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.run.interrupts import TimedOut

LIMITED = """
import ctypes, sys, time
from pathlib import Path
from dsbench.run import interrupts

interrupts.GRACE_SECONDS = 0.3
log, how = Path(sys.argv[1]), sys.argv[2]


def deadlocked(library):
    mutex = ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)  # for ever; signals do not end it


def a_loop_that_holds_on():
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass


def c_code():
    deadlocked(ctypes.CDLL(None))


def c_code_with_the_interpreters_lock():
    deadlocked(ctypes.PyDLL(None))


with interrupts.Limit(0.3, [log], lambda: print("last words", flush=True)):
    time.sleep(600) if how == "sleep" else globals()[how]()
"""


@pytest.mark.parametrize(
    ("how", "code", "said", "told"),
    [
        ("sleep", 1, "", "dsbench.run.interrupts.TimedOut: ran longer than timeout=0.3 s"),
        ("a_loop_that_holds_on", 124, "last words\n", "error: ran longer than timeout=0.3 s"),
        ("c_code", 124, "last words\n", "error: ran longer than timeout=0.3 s"),
        ("c_code_with_the_interpreters_lock", 1, "", None),
    ],
)
def test_whatever_holds_on_is_asked_and_then_ended(
    tmp_path: Path, how: str, code: int, said: str, told: str | None
) -> None:
    log = tmp_path / "run.log"
    command = [sys.executable, "-c", LIMITED, log, how]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (code, said)
    assert [*ended.stderr.splitlines(), None][-2 if told else -1] == told
    assert 'File "<string>", line' in log.read_text()  # where each thread was
    assert ("deadlocked" in log.read_text()) == how.startswith("c_code")


def test_time_that_is_not_over_changes_nothing(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; import signal, sys, threading, time; from dsbench.run.interrupts import Limit\n"
        "with Limit(0.5, [Path(sys.argv[1])], exit): pass\n"
        "time.sleep(0.8); print(threading.active_count(), signal.getsignal(signal.SIGALRM).name)"
    )
    command = [sys.executable, "-c", script, tmp_path / "run.log"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1 SIG_DFL\n", "")


def test_a_run_that_takes_too_long_is_recorded_as_such_and_goes_on_when_it_has_more(
    trained: Callable[..., dict[str, Any]], planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsbench.training.classifier import Classifier

    line = "arch=mnist_7800_shallow width=2 train.max_epochs=2"
    start = Classifier.on_train_epoch_start

    def dawdle(self: Classifier) -> None:
        start(self)
        if self.current_epoch == 1:
            while True:
                time.sleep(0.01)

    trained("width=1 train.max_epochs=1")  # what is imported with a first run takes no part of the three seconds
    monkeypatch.setattr(Classifier, "on_train_epoch_start", dawdle)
    with pytest.raises(TimedOut, match="ran longer than timeout=3 s"):
        trained(f"{line} timeout=3")
    folder = planned(line).folder
    record = folder.result()
    assert (record.status, record.error) == ("timeout", "ran longer than timeout=3 s")
    assert record.finished is not None
    assert "in dawdle" in folder.log_file.read_text()
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    monkeypatch.setattr(Classifier, "on_train_epoch_start", start)
    again = trained(f"{line} timeout=600")
    assert (again["status"], again["attempts"], again["epochs"]) == ("done", 2, 2)
    assert "error" not in again

"""The same networks measured in several fresh processes: what one process says of a ratio, the next may not repeat.

Where code and data come to lie in memory is drawn once a process, and moves its times by more than its rounds tell.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar

from dsbench.errors import InputError, first_line
from dsbench.measure.by_turns import RunningCosts, running_costs
from dsbench.measure.record import times
from dsbench.measure.timing import MEASUREMENTS, REPEATS
from dsbench.process import importing_alike, wait_briefly, without_interrupts, without_main

if TYPE_CHECKING:
    from dsbench.measure.subject import Subject

LEAST_SECONDS = 0.2  # of one measurement of a network in one repeat, which gives 16 rounds of short calls
T = TypeVar("T")
Measure = Callable[..., T]  # what measures, running_costs say, with all but the seconds, `say` and `refused`


def repeated(
    subjects: Callable[[], Sequence[Subject]],
    seconds: float,
    repeats: int = REPEATS,
    within: float | None = None,
    rooflines_of: Sequence[str] | None = None,
    refused: Callable[[Exception], None] | None = None,
    say: Callable[[str], None] = lambda message: None,
    **options: Any,
) -> tuple[list[RunningCosts], int]:
    """Measure what `subjects` returns in `repeats` fresh processes, one after the other; returns how many ended, too.

    Each measurement of a network takes `seconds` in one process at the most. `within` so many seconds in all, imports
    included, there are as many processes as fit; none where the first does not. Rooflines and memory are those of the
    first; see dsbench.measure.by_turns.running_costs for the rest. `subjects` and `options` are pickled.
    """
    end = None if within is None else time.monotonic() + within
    done: list[list[RunningCosts]] = []
    longest = 0.0
    for number in range(repeats):
        start = time.monotonic()
        if end is not None and done:
            spare = (end - start) / (repeats - number) - longest
            if spare < 0:  # fewer seconds each, so that more processes fit
                seconds = max(LEAST_SECONDS, seconds + spare / (MEASUREMENTS * len(done[0])))
            if end - start < longest + min(spare, 0):
                break
        measure = partial(running_costs, subjects, rooflines_of=rooflines_of if number == 0 else None, **options)
        told = partial(_say, say, f"repeat {number + 1} of {repeats}")
        costs = in_fresh_process(measure, seconds, end, refused, told)
        if costs is None:
            break
        done.append(costs)
        longest = time.monotonic() - start
    return [_joined(costs) for costs in zip(*done, strict=True)], len(done)


def _say(say: Callable[[str], None], repeat: str, what: str) -> None:
    say(f"{repeat}, {what}")


def _joined(repeats: Sequence[RunningCosts]) -> RunningCosts:
    """The costs of one network, whose times are those of all `repeats`, and the rest the first's."""
    from dsbench.measure.bench import Measured

    first, measured = repeats[0], [costs.measured for costs in repeats]
    return replace(first, measured=Measured.over(measured), record=first.record | times(measured))


def in_fresh_process(
    measure: Measure[T],
    seconds: float,
    end: float | None,
    refused: Callable[[Exception], None] | None,
    say: Callable[[str], None],
) -> T | None:
    """What `measure` returns in a new process; None where that is not done at the time `end`, when it is killed.

    Raises what it raises, and RuntimeError where the process dies.
    """
    wait_briefly()
    context = multiprocessing.get_context("spawn")
    channel, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(theirs, measure, seconds, refused is not None))
    with without_interrupts(), without_main(), importing_alike():
        process.start()
    theirs.close()
    try:
        while channel.poll(None if end is None else max(0.0, end - time.monotonic())):
            kind, content = channel.recv()
            if kind == "say":
                say(content)
            elif kind == "refused":
                assert refused is not None
                refused(content)
            elif kind == "error":
                raise content
            else:
                return content
    except EOFError:
        process.join()
        raise RuntimeError(f"the process that measured ended with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        channel.close()
    return None


def _measure(channel: Connection, measure: Measure[Any], seconds: float, may_refuse: bool) -> None:
    def send(kind: str) -> Callable[[Any], None]:
        return lambda content: channel.send((kind, content))

    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own would hold a semaphore, and the process is killed once it has answered
    try:
        costs = measure(seconds, refused=send("refused") if may_refuse else None, say=send("say"))
        channel.send(("done", costs))
    except InputError as error:
        channel.send(("error", error))
    except Exception as error:
        told = RuntimeError(first_line(error))  # others may not survive pickling
        told.add_note(traceback.format_exc())
        channel.send(("error", told))

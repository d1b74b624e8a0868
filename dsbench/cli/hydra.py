"""The entry points: Hydra composes and launches what train.py and sweep.py ask for, errors are told in one line."""

from __future__ import annotations

import errno
import logging
import os
import select
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.console import replace_unwritable
from dsbench.errors import FailureError, InputError, first_line
from dsbench.process import draw_into_files, end_quickly, read_names_as_utf8, scratch_for_hydra, wait_briefly
from dsbench.run.interrupts import EXIT_CODE, Interrupted, TimedOut, interruptible

if TYPE_CHECKING:
    from dsbench.config.overrides import CommandLine

_GOES_ON = "the same command goes on from the last checkpoint"
_FULL = "DSBENCH_FULL_ERROR"  # set where the user asked for tracebacks


def train() -> None:
    """`python train.py OVERRIDES`: one run."""
    with _command():
        run_hydra("train")


def sweep() -> None:
    """`python sweep.py -m OVERRIDES`: many runs."""
    with _command():
        run_hydra("sweep")


def dsbench() -> None:
    """The `dsbench` command."""
    from dsbench.cli.app import app

    if len(sys.argv) == 1:
        sys.argv.append("--help")
    with _command():
        code = app(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)


@interruptible()
def run_hydra(config_name: str) -> None:
    """Let Hydra compose the configuration and launch the run or, from `sweep` or with -m, the sweep.

    Raises what a run raises, InputError for what Hydra itself cannot make sense of, SystemExit where runs of a sweep
    have failed.
    """
    import hydra

    from dsbench.config import schema
    from dsbench.config.compose import forget_choices
    from dsbench.config.messages import one_line
    from dsbench.config.overrides import check_overrides, command_line, without_trainer
    from dsbench.config.schema import conf_dir

    line = command_line(sys.argv[1:])
    if line.values["help"]:
        from dsbench.cli.keys import print_keys

        print_keys(config_name, line)
        return
    schema.register()
    forget_choices()
    failures: list[Exception] = []
    task, flags = _kept(failures)(job), list(line.flags)
    if config_name == "sweep" or line.values["multirun"]:
        from dsbench.sweep.axes import spelled_out

        config_name, task, overrides = "sweep", job, spelled_out(line.overrides)
        if line.trains and not (line.values["run"] or line.values["multirun"]):
            flags.append("--multirun")  # without it Hydra takes what it cannot compose for a single run
    else:
        overrides = line.overrides
        _refuse_several(line)
    check_overrides(overrides)
    sys.argv[1:] = [*flags, *without_trainer(overrides)]
    with scratch_for_hydra():
        try:
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(task)()
        except (InputError, FailureError, BrokenPipeError):
            raise
        except Exception as error:  # of Hydra, which could not compose or launch
            if _FULL in os.environ:
                raise
            raise InputError(one_line(error)) from error
    if failures:
        raise failures[0]


@contextmanager
def _kept(failures: list[Exception]) -> Iterator[None]:
    """Within, errors go into `failures`: of a single run that raises them Hydra prints lines of its own."""
    try:
        yield
    except Exception as error:
        failures.append(error)


def job(config: Any) -> float | list[float] | None:
    """Train and test the run that `config` says, inside Hydra; returns what a sweep's `objective` names of its record.

    A sweeper that searches goes by that. Raises InputError before anything is written where the configuration or the
    data are wrong.
    """
    wait_briefly()  # before torch is imported
    draw_into_files()
    from hydra.core.hydra_config import HydraConfig

    from dsbench.config.compose import typed
    from dsbench.run.plan import plan, with_seed

    _log_to_terminal()
    hydra = HydraConfig.get()
    first = plan(typed(config, hydra.runtime.choices, hydra.overrides.task))
    plans = [with_seed(first, seed) for seed in first.seeds]
    from dsbench.run.execute import execute_together
    from dsbench.run.progress import Progress

    views = [Progress(first.config.progress, name=f"seed {seed}" if plans[1:] else "") for seed in first.seeds]
    swept = "objective" in config
    if swept:
        from dsbench.sweep.launch import worker

        views = [worker.Reporter(seed) for seed in first.seeds] if worker.inside() else views
    ended = execute_together(plans, views)
    errors = {each.config.seed: end for each, end in zip(plans, ended, strict=True) if isinstance(end, BaseException)}
    if errors:
        raise _failed(errors, len(plans))
    if not swept or plans[1:]:  # no trial of a search, which trains runs alone
        return None
    from dsbench.sweep.objective import figures, objectives

    (record,) = ended
    assert not isinstance(record, BaseException)
    values = figures(record, objectives(config.objective))
    return values[0] if values and len(values) == 1 else values


def _failed(errors: Mapping[int, BaseException], runs: int) -> BaseException:
    """What to raise for a job of so many `runs` whose `errors` are by seed: of one its own, of a group what names all.

    Where all of a group are out of time, or ask alike for what cannot be, that is said as of one.
    """
    first, *_ = errors.values()
    alike = len(errors) == runs and len({*map(str, errors.values())}) == 1
    if runs == 1 or (alike and isinstance(first, (InputError, TimedOut))):
        return first
    seeds: dict[str, list[int]] = {}
    for seed, error in errors.items():
        seeds.setdefault(first_line(error), []).append(seed)
    told = (f"{'seed' if len(of) == 1 else 'seeds'} {', '.join(map(str, of))}: {line}" for line, of in seeds.items())
    text = "; ".join(told)
    wrong = len(errors) == runs and all(isinstance(error, InputError) for error in errors.values())
    return InputError(text) if wrong else FailureError(text)


def _refuse_several(line: CommandLine) -> None:
    """Raise InputError where a single run is asked for with a list of values, with the command that trains them all."""
    from dsbench.config.overrides import lists_values

    several = next(filter(lists_values, line.overrides), None) if line.trains else None
    if several is not None:
        script = Path(sys.argv[0])
        sweep = f"python {script.with_name('sweep.py')}" if script.suffix == ".py" else "dsbench sweep"
        typed = shlex.join([*line.flags, *line.overrides])
        raise InputError(f"{several} lists several values, and this trains one run; all of them: {sweep} -m {typed}")


def _log_to_terminal() -> None:
    """dsbench's own messages go to standard error, without ornament."""
    log = logging.getLogger("dsbench")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.INFO)
        log.addHandler(handler)


@contextmanager
def _command() -> Iterator[None]:
    """Within, a command runs; then exit: with 2 after one line for bad input, with 1 after one line for a failure.

    Where a signal ended it, exit with 128 and its number, SIGPIPE without a word. HYDRA_FULL_ERROR=1 shows the
    traceback instead of the line.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        os.environ[_FULL] = "1"
    read_names_as_utf8()
    end_quickly()
    draw_into_files()
    replace_unwritable()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors instead of printing them
    try:
        yield
        sys.stdout.flush()
    except BaseException as error:
        if _reader_is_gone(error):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains when it flushes what is left
            sys.exit(128 + signal.SIGPIPE)
        if isinstance(error, SystemExit) or _FULL in os.environ:
            raise
        sys.exit(_report(error))
    sys.exit(0)


def _reader_is_gone(error: BaseException) -> bool:
    """Whether the cause is that standard output is a closed pipe, as in `| head`."""
    if isinstance(error, SystemExit):  # rich and Typer exit so
        return isinstance(error.__context__, BrokenPipeError)
    if not isinstance(error, BrokenPipeError):
        return False
    output = select.poll()
    output.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


def _report(error: BaseException) -> int:
    """Print the error in one line; returns the exit code."""
    from typer.exceptions import TyperException

    if isinstance(error, InputError):
        return _print_error(f"error: {error}", 2)
    if isinstance(error, Interrupted):
        stopped = f"{error.so_far}; the same command goes on" if error.so_far else f"{error}; {_GOES_ON}"
        return _print_error(stopped, 128 + error.number)
    if isinstance(error, TimedOut):
        return _print_error(f"error: {error}", EXIT_CODE)
    if isinstance(error, KeyboardInterrupt):
        return _print_error("interrupted", 130)
    if isinstance(error, TyperException):
        return _print_error(f"error: {error.format_message()}", 2)
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return _print_error(f"error: {error.filename!r}: {error.strerror}", 2)
    if isinstance(error, FailureError):
        return _print_error(f"error: {error}", 1)
    parts = dict.fromkeys((type(error).__name__, first_line(error)))
    return _print_error(f"error: {': '.join(parts)}", 1)


def _print_error(line: str, code: int) -> int:
    with suppress(BrokenPipeError):
        print(" ".join(line.split()), file=sys.stderr)
    return code

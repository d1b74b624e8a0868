"""Entry points: train.py, sweep.py and the dsbench command, with every error as one line and the right exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from dsbench.errors import FailureError, InputError, first_line
from dsbench.run.signals import Interrupted, interruptible
from dsbench.run.timeout import EXIT_CODE, TimedOut

_FULL = "DSBENCH_FULL_ERROR"  # set where the user asked for tracebacks


def train() -> None:
    """`python train.py OVERRIDES`: one run."""
    _guard(lambda: run_hydra("train"))


def sweep() -> None:
    """`python sweep.py -m OVERRIDES`: many runs."""
    _guard(lambda: run_hydra("sweep"))


def dsbench() -> None:
    """The `dsbench` command."""
    from dsbench.cli.app import app

    if len(sys.argv) == 1:
        sys.argv.append("--help")
    _guard(lambda: app(standalone_mode=False))


def _guard(command: Callable[[], Any]) -> None:
    """Run `command`; exit with 2 after one line for bad input, 1 after one line for a failure, as a signal does else.

    HYDRA_FULL_ERROR=1 shows the traceback instead of the line.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        os.environ[_FULL] = "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors instead of printing them
    try:
        code = command()
    except BaseException as error:
        if isinstance(error, SystemExit) or _FULL in os.environ:
            raise
        code = _report(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException) -> int:
    """Print the one line that `error` comes down to; returns the exit code."""
    from typer.exceptions import TyperException

    if isinstance(error, InputError):
        return _say(f"error: {error}", 2)
    if isinstance(error, Interrupted):
        return _say(f"{error}; the same command goes on from the last checkpoint", 128 + error.number)
    if isinstance(error, TimedOut):
        return _say(f"error: {error}", EXIT_CODE)
    if isinstance(error, KeyboardInterrupt):
        return _say("interrupted", 130)
    if isinstance(error, TyperException):
        return _say(f"error: {error.format_message()}", 2)
    if isinstance(error, FailureError):
        return _say(f"error: {error}", 1)
    said = dict.fromkeys((type(error).__name__, first_line(error)))
    return _say(f"error: {': '.join(said)}", 1)


def _say(line: str, code: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return code


@interruptible()
def run_hydra(config_name: str) -> None:
    """Let Hydra compose the configuration and launch the run or, from `sweep` or with -m, the sweep.

    Raises what a run raises, InputError for what Hydra itself cannot make sense of, SystemExit where runs of a sweep
    have failed.
    """
    import hydra

    from dsbench.config import schema
    from dsbench.config.compose import forget_choices
    from dsbench.config.files import conf_dir
    from dsbench.config.messages import one_line
    from dsbench.sweep.axes import spelled_out

    failures: list[Exception] = []

    def one_job(config: Any) -> None:
        try:
            job(config)
        except Exception as error:  # Hydra would print lines of its own about it
            failures.append(error)

    schema.register()
    forget_choices()
    if {"-m", "--multirun"} & set(sys.argv):
        config_name = "sweep"
    task = job if config_name == "sweep" else one_job
    if config_name == "sweep":
        sys.argv[1:] = spelled_out(sys.argv[1:])
    sys.argv[1:] = sorted(sys.argv[1:], key=_is_override)  # Hydra wants its flags first
    _check_flags()
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        os.environ["DSBENCH_HYDRA_DIR"] = scratch  # where conf/train.yaml has Hydra put its own files
        try:
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(task)()
        except (InputError, FailureError):
            raise
        except Exception as error:  # of Hydra, which could not compose or launch
            if _FULL in os.environ:
                raise
            raise InputError(one_line(error)) from error
    if failures:
        raise failures[0]


def _check_flags() -> None:
    """Raise InputError for a flag that Hydra does not know."""
    from hydra._internal.utils import get_args_parser

    _, unknown = get_args_parser().parse_known_args(sys.argv[1:])
    if unknown:
        raise InputError(f"unknown option {unknown[0]!r}; see python train.py --hydra-help")


def _is_override(argument: str) -> bool:
    return not argument.startswith("-") and ("=" in argument or argument.startswith("~"))


def job(config: Any) -> float | list[float] | None:
    """One run, inside Hydra: returns what `objective` names of it, which a sweeper that searches goes by."""
    from hydra.core.hydra_config import HydraConfig

    from dsbench.cli.run import run
    from dsbench.config.compose import typed
    from dsbench.sweep.objective import figures, objectives

    hydra = HydraConfig.get()
    found = figures(
        run(typed(config, hydra.runtime.choices, hydra.overrides.task)),
        objectives(config.get("objective", "val_acc")),
    )
    return found[0] if found and len(found) == 1 else found

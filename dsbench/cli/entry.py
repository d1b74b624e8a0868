"""Entry points: train.py, sweep.py and the dsbench command, with every error as one line and the right exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from dsbench.errors import InputError
from dsbench.run.signals import Interrupted

_FULL_ERROR = "HYDRA_FULL_ERROR"


def train() -> None:
    """`python train.py OVERRIDES`: one run."""
    _guard(lambda: run_hydra("train"))


def sweep() -> None:
    """`python sweep.py -m OVERRIDES`: many runs."""
    _guard(lambda: run_hydra("sweep"))


def dsbench() -> None:
    """The `dsbench` command."""
    from dsbench.cli.app import app

    _guard(lambda: app(standalone_mode=False))


def _guard(command: Callable[[], Any]) -> None:
    """Run `command`; exit with 2 after one line for bad input, 1 after one line for a failure, as a signal does else.

    HYDRA_FULL_ERROR=1 shows the traceback instead of the line.
    """
    full = os.environ.get(_FULL_ERROR) == "1"
    os.environ[_FULL_ERROR] = "1"  # makes Hydra raise its errors instead of printing them
    try:
        code = command()
    except SystemExit:
        raise
    except BaseException as error:
        if full:
            raise
        code = _report(error)
    finally:
        if not full:
            os.environ.pop(_FULL_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException) -> int:
    """Print the one line that `error` comes down to; returns the exit code."""
    if isinstance(error, InputError):
        return _say(f"error: {error}", 2)
    if isinstance(error, Interrupted):
        return _say(f"{error}; the same command goes on from the last checkpoint", 128 + error.number)
    if isinstance(error, KeyboardInterrupt):
        return _say("interrupted", 130)
    if isinstance(error, TyperException):
        return _say(f"error: {error.format_message()}", 2)
    if type(error).__module__.split(".")[0] in ("hydra", "omegaconf"):
        from dsbench.config.compose import one_line

        return _say(f"error: {one_line(error)}", 2)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return _say(f"error: {type(error).__name__}: {lines[0]}", 1)


def _say(line: str, code: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return code


def run_hydra(config_name: str) -> None:
    """Let Hydra compose the configuration and launch the job or jobs."""
    import hydra

    from dsbench.config import schema
    from dsbench.config.compose import conf_dir

    schema.register()
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        # Hydra makes a folder for its own files before it calls the job; dsbench keeps records of its own.
        sys.argv += [f"hydra.run.dir={scratch}", f"hydra.sweep.dir={scratch}", "hydra.sweep.subdir=."]
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(job)()


def job(config: Any) -> float | None:
    """One run, inside Hydra: returns its best validation accuracy, for sweepers that search."""
    from hydra.core.hydra_config import HydraConfig

    from dsbench.cli.run import run
    from dsbench.config.compose import typed

    hydra = HydraConfig.get()
    return run(typed(config, hydra.runtime.choices, hydra.overrides.task))

"""The folder of a sweep: what was asked for (sweep.yaml, plan.csv), and the tables of its results."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from dsbench import provenance
from dsbench.budget.request import Requested
from dsbench.errors import InputError, first_line
from dsbench.files import write_atomically
from dsbench.results.cells import cells_table
from dsbench.results.records import (
    CODE,
    COLUMNS,
    OUTCOMES,
    OWN,
    ROLES,
    TEXT,
    TIMED,
    plain,
    record,
    runs_table,
    without_test,
)
from dsbench.run import index
from dsbench.run.record import BROKEN, FINAL, Record, Status

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.run.outcome import Ended

_WORDS = {"": None, "True": True, "False": False}


def table(planned: Iterable[Record]) -> pd.DataFrame:
    """A row a run, with what does not depend on its training."""
    return runs_table(replace(run, measured={}) for run in planned).drop(columns=[*OUTCOMES, *CODE], errors="ignore")


def read(path: Path) -> dict[str, Record]:
    """The rows of a plan.csv as records of status `missing`, by run_id; none where there is no file.

    Raises InputError where the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        return {run.run_id: run for row in _rows(path) if (run := _record(row | {"status": Status.MISSING}))}
    except ValueError as error:
        how = f"{path} is damaged: {first_line(error)}"
        raise InputError(f"{how}; delete it, and the same sweep makes it anew") from None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table, field by field. Raises ValueError, with the line, for one that is not whole."""
    value = cache(_value)  # most stand in many rows
    with path.open(encoding="utf-8", newline="") as file:
        content = file.read()
    if content and content[-1] not in "\r\n":
        raise ValueError("it is cut within its last line")
    lines = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    try:
        for row in lines:
            if None in row or None in row.values():
                raise ValueError(f"line {lines.line_num} has another number of fields than the first")
            yield {name: (text or None) if COLUMNS.get(name) == TEXT else value(text) for name, text in row.items()}
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from None


def _record(row: Mapping[str, Any]) -> Record:
    """The record that a row of a table of runs was made of, with the median alone of what was timed."""
    requested = {name.removeprefix("requested_"): row[name] for name in row if name.startswith("requested_")}
    further = [name for name in row if name not in COLUMNS]
    stop = {name.removeprefix("stop."): row[name] for name in further if name.startswith("stop.")}
    timed = [name for name in further if name.partition("/")[0] in TIMED]
    return Record.of(
        {
            **{name: row[name] for name in row if name in COLUMNS and not name.startswith("requested_")},
            "requested": requested if requested.get("kind") else None,
            "stop": stop if stop.get("by") else None,
            "settings": {name: row[name] for name in further if not name.startswith("stop.") and name not in timed},
            **_nested({name: row[name] for name in timed if row[name] is not None}),
        }
    )


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`latency_ms/batch_1/torch` as keys within keys."""
    out: dict[str, Any] = {}
    for path, value in values.items():
        *outer, last = path.split("/")
        place = out
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return out


def _value(text: str) -> Any:
    """The value of a field: nothing, a truth value, a number, a list or a text."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


_HEAD = "# A sweep as it was asked for. What came of it, runs.csv and cells.csv, is made anew from the runs' records.\n"
# Fields in which the same run may differ where another sweep, or train.py, has made it
_NAMES = ("cell_id", "model", "arch", "block", "data", "label", "stop", "settings")
_ENDED = FINAL | BROKEN
_READ = {"arguments": list, "started": object, "finished": object, "versions": dict, "budgets": dict, "runs": list}
EXPLORES, CHOSEN = "explores", "chosen"  # the stages of a sweep that has two
_DESIGN: dict[str, dict[str, type]] = {  # by the stage, what it keeps
    EXPLORES: {"name": str, "options": dict, "cells": dict, "seeds": dict, "largest_class": dict},
    CHOSEN: {"name": str, "explored": str, ROLES: dict, OWN: list, "sentences": list, "tables": list},
}
_NEEDED = ("run_id", "cell_id", "status", "model", "data", "seed", "test_acc")  # of a table that is judged by itself
_HASH, _IS_HASH = re.compile(rb"^hash: '?([0-9a-f]{8})'?$", re.MULTILINE), re.compile("[0-9a-f]{8}")
_HEAD_BYTES = 1000  # of sweep.yaml, in which the hash comes first
_LOCK_SECONDS = 30.0  # to wait for another process that writes the same tables, which takes a second or so


class TakenError(InputError):
    """A folder is another sweep's, which was quicker to take the name."""


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep, `outputs/sweeps/<name>`."""

    path: Path

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def argument(self) -> str:
        """What commands in the current folder call it: its name, or its path where it is not in `outputs`."""
        here, absolute = Path.cwd(), self.path.absolute()
        if absolute == here / "outputs" / "sweeps" / self.name:
            return self.name
        return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)

    @property
    def outputs(self) -> Path:
        """The folder of results that the sweep and its runs lie in."""
        return self.path.parent.parent

    @property
    def sweep_file(self) -> Path:
        """The arguments, the runs in order, each cell's budget, versions, commit, start and finish."""
        return self.path / "sweep.yaml"

    @property
    def plan_file(self) -> Path:
        """A row a run, as planned: what it is and costs, without results."""
        return self.path / "plan.csv"

    @property
    def runs_file(self) -> Path:
        """A row a run (see dsbench.results.records.runs_table)."""
        return self.path / "runs.csv"

    @property
    def cells_file(self) -> Path:
        """A row a cell (see dsbench.results.cells.cells_table)."""
        return self.path / "cells.csv"

    def write_plan(
        self,
        planned: Sequence[Record],
        arguments: Sequence[str],
        judging: Mapping[str, Any] | None = None,
        digest: str | None = None,
    ) -> None:
        """Write what was asked for: `planned` has Plan.facts() of each run, in order, `arguments` the command line.

        `judging` is what the verdict goes by: `verdict` with its margins, and `looks` where there are several; and the
        user's `config_dir`, by which the command can be repeated; and the `design` of two stages. `digest` is the hash
        of its cells, by which a sweep without a name of its own is found again.

        Of runs with the same run_id the first counts. Other seeds of the same cells, planned by an earlier call, stay,
        and so do runs that are in training, whose precision=auto may differ. A sweep that goes on, with the same
        arguments, keeps its start. Raises InputError where the folder cannot be written to, TakenError where it has
        other cells.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with self.locked():
                self._write_plan(planned, arguments, judging or {}, digest)
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror}; set outputs= to another folder") from None

    def _write_plan(
        self, planned: Sequence[Record], arguments: Sequence[str], judging: Mapping[str, Any], digest: str | None
    ) -> None:
        runs: dict[str, Record] = {}
        for run in planned:
            runs.setdefault(run.run_id, run)
        cells = {run.cell_id for run in planned}
        runs |= {
            run_id: run
            for run_id, run in read(self.plan_file).items()
            if run_id not in runs and (run.cell_id in cells or record(self.outputs, run_id).status == Status.RUNNING)
        }
        earlier = self.metadata() if self.sweep_file.exists() else {}
        if digest is not None and self.hash() not in (None, digest):
            raise TakenError(f"another sweep has just taken the name {self.name}; the same command takes another")
        goes_on = earlier.get("arguments") == list(arguments)
        metadata = {
            **({"hash": digest} if digest else {}),
            "arguments": list(arguments),
            "started": earlier["started"] if goes_on else provenance.now(),
            "finished": None,
            "git_sha": provenance.git_sha(),
            "versions": provenance.versions(),
            **judging,
            "budgets": {run.cell_id: run.requested.facts() for run in reversed(runs.values()) if run.requested},
            "runs": list(runs),
        }
        _write_csv(self.plan_file, table(runs.values()))
        self._write(metadata)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: what another adds between reading a file and writing it would be lost.

        Raises TimeoutError where another process keeps the lock.
        """
        lock = FileLock(self.path / ".lock", timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            reason = f"another process has had {lock.lock_file} for {_LOCK_SECONDS:g} s"
            raise TimeoutError(errno.ETIMEDOUT, reason) from None
        try:
            yield
        finally:
            lock.release()

    def margins(self) -> dict[str, Any]:
        """The margins that the sweep was run with: `margin` in percentage points, `speed_margin` in percent.

        Empty where an older version has run it. Raises InputError as `metadata` does.
        """
        margins = self.metadata().get("verdict", {})
        if margins != {} and not (
            isinstance(margins, dict)
            and margins.keys() == {"margin", "speed_margin"}
            and (margins["margin"] is None or _is_size(margins["margin"]))
            and _is_size(margins["speed_margin"])
            and margins["speed_margin"] > 0
        ):
            raise self._damaged("verdict is not what was written")
        return margins

    @property
    def design(self) -> dict[str, Any] | None:
        """Of a sweep in two stages what this stage keeps of its design (see dsbench.sweep.design), else None.

        Raises InputError as `metadata` does.
        """
        return self._design(self.metadata())

    def _design(self, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
        design = metadata.get("design")
        if design is None:
            return None
        kept = _DESIGN.get(str(design.get("stage"))) if isinstance(design, dict) else None
        if kept is None or not all(isinstance(design.get(key), kind) for key, kind in kept.items()):
            raise self._damaged("design is not what was written")
        return dict(design)

    def hash(self) -> str | None:
        """That of its cells, where the sweep has no name of its own; older folders are called by it."""
        try:
            with self.sweep_file.open("rb") as file:
                match = _HASH.search(file.read(_HEAD_BYTES))
        except OSError:
            return None
        return match[1].decode() if match else self.name if _IS_HASH.fullmatch(self.name) else None

    def run_ids(self) -> list[str]:
        """The runs, in order. Raises InputError where there is no sweep."""
        return [str(run_id) for run_id in self.metadata()["runs"]]

    def read(self, reasons: Mapping[str, Ended] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of runs and of cells, from the runs' records as they are now.

        A run without a record has the status `missing` and what is planned of it. Names and budgets are those of this
        sweep, whatever the run was called when it was made; of one that explores nothing that test images say is read.
        `reasons`, by run_id, are those of runs that have failed and could not write it down.
        """
        return self._tables(self.metadata(), reasons or {})

    def collect(self, reasons: Mapping[str, Ended] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As read; writes runs.csv, cells.csv and, once every run has ended, when the last one did."""
        self.metadata()  # where there is no sweep there is no folder for a lock
        with self.locked():
            metadata = self.metadata()
            runs, cells = self._tables(metadata, reasons or {})
            _write_csv(self.runs_file, runs)
            _write_csv(self.cells_file, cells)
            finished = max(runs["finished"].dropna(), default=None) if runs["status"].isin(_ENDED).all() else None
            if metadata["finished"] != finished:
                self._write(metadata | {"finished": finished})
        facts = runs[runs["status"] != Status.MISSING].reindex(columns=list(index.FACTS))
        index.update(self.outputs, plain(facts), self.name)
        return runs, cells

    def _tables(self, metadata: dict[str, Any], reasons: Mapping[str, Ended]) -> tuple[pd.DataFrame, pd.DataFrame]:
        budgets, planned = metadata["budgets"], read(self.plan_file)
        records = []
        for run_id in map(str, metadata["runs"]):
            run, plan = record(self.outputs, run_id), planned.get(run_id)
            if plan is not None:
                missing = run.status == Status.MISSING
                names = {name: value for name in _NAMES if (value := getattr(plan, name)) is not None}
                run = plan if missing else replace(run, **names)
            if run_id in reasons and run.status not in FINAL:
                run = replace(run, status=Status(reasons[run_id].status), error=reasons[run_id].reason)
            budget = budgets.get(run.cell_id)
            records.append(replace(run, requested=Requested(**budget) if budget else None))
        runs = _as_designed(runs_table(records), self._design(metadata))
        return runs, cells_table(runs)

    def metadata(self) -> dict[str, Any]:
        """What sweep.yaml holds. Raises InputError where there is no sweep, and where the file is damaged."""
        import yaml

        try:
            text = self.sweep_file.read_text(encoding="utf-8")
            metadata = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"no sweep in {self.path}: there is no {self.sweep_file.name}") from None
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise self._damaged(first_line(error)) from None
        if not isinstance(metadata, dict):
            raise self._damaged("it holds no keys")
        for key, kind in _READ.items():
            if not (key in metadata and isinstance(metadata[key], kind)):
                raise self._damaged(f"{key} is not what was written, or not there")
        return metadata

    def _damaged(self, how: str) -> InputError:
        return InputError(f"{self.sweep_file} is damaged: {how}; delete it, and the same sweep makes it anew")

    def _write(self, metadata: dict[str, Any]) -> None:
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        write_atomically(
            self.sweep_file, _HEAD + yaml.dump(metadata, Dumper=dumper, sort_keys=False, allow_unicode=True)
        )


@dataclass(frozen=True)
class RunsFile(SweepFolder):
    """A sweep of which a table of runs is left, `file`, and perhaps the sweep.yaml beside it; no run has a folder.

    What is made of it is written into the folder of the file, `path`.
    """

    file: Path

    @classmethod
    def at(cls, file: Path) -> RunsFile:
        """The sweep whose runs `file` holds. Raises InputError where there is no file."""
        if not file.is_file():
            raise InputError(f"no file {file}; a sweep's table of runs is runs.csv in its folder")
        return cls(file.parent, file)

    @property
    def name(self) -> str:
        """That of its folder, or of the file where that is not called runs.csv."""
        return self.file.absolute().parent.name if self.file.name == self.runs_file.name else self.file.stem

    @property
    def argument(self) -> str:
        """The path of the file."""
        return str(self.file)

    @property
    def outputs(self) -> Path:
        """A folder without runs."""
        return self.path

    def metadata(self) -> dict[str, Any]:
        """What the sweep.yaml beside the file holds; without one, what the runs say."""
        if self.sweep_file.exists():
            return super().metadata()
        runs = self.read()[0]
        started, finished = runs["started"].dropna(), runs["finished"].dropna()
        return {
            "arguments": [],
            "started": min(started, default=None),
            "finished": max(finished, default=None),
            "versions": {},
            "budgets": {},
            "runs": list(runs["run_id"]),
        }

    def read(self, reasons: Mapping[str, Ended] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of runs and of cells, from the file; columns that an older version did not write are empty.

        Raises InputError where it is no table of runs.
        """
        try:
            rows = list(_rows(self.file))
            explores = self.sweep_file.exists() and (self.design or {}).get("stage") == EXPLORES
            needed = [name for name in _NEEDED if not (explores and name == "test_acc")]
            lacking = [name for name in needed if not rows or name not in rows[0]]
            if lacking:
                raise InputError(
                    f"{self.file} is no table of runs: " + (f"no column {lacking[0]}" if rows else "no row")
                )
            runs = runs_table(map(_record, rows))
            if self.sweep_file.exists():
                runs = _as_designed(runs, self.design)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.file} is no table of runs: {first_line(error)}") from None
        twice = runs["run_id"][runs["run_id"].duplicated()]
        if len(twice):
            raise InputError(f"{self.file} has run {twice.iloc[0]} in two rows; a run has one")
        return runs, cells_table(runs)

    def collect(self, reasons: Mapping[str, Ended] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As read; nothing is written."""
        return self.read()


def _as_designed(runs: pd.DataFrame, design: Mapping[str, Any] | None) -> pd.DataFrame:
    """The table with the roles in which a design has chosen its cells.

    Where it explores it is without what test images say, whoever asks.
    """
    if design and design["stage"] == EXPLORES:
        return without_test(runs)
    if design and ROLES in design:
        runs.attrs |= {name: design[name] for name in (ROLES, OWN)}
    return runs


def sweeps(outputs: Path) -> list[str]:
    """The names of the sweeps under `outputs`, in order."""
    return sorted((path.parent.name for path in (outputs / "sweeps").glob("*/sweep.yaml")), key=natural)


def sweeps_of_runs(outputs: Path) -> dict[str, list[str]]:
    """The names of the sweeps that each run is in, by run_id, as plan.csv begins each line with it."""
    out: dict[str, list[str]] = {}
    for name in sweeps(outputs):
        with suppress(OSError, UnicodeDecodeError):
            text = SweepFolder(outputs / "sweeps" / name).plan_file.read_text(encoding="utf-8")
            for run_id in re.findall(r"^([0-9a-f]{12}),", text, re.MULTILINE):
                out.setdefault(run_id, []).append(name)
    return out


def with_hash(outputs: Path, digest: str) -> SweepFolder | None:
    """The sweep under `outputs` whose cells have that hash, the one that is called by it first; None without one."""
    folders = [SweepFolder(outputs / "sweeps" / name) for name in (digest, *sweeps(outputs))]
    return next((folder for folder in folders if folder.hash() == digest), None)


def natural(text: str) -> list[tuple[float, str]]:
    """A key by which numbers in texts are in order of their size: w4, w8, w16."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(float(part), "") if number % 2 else (0.0, part) for number, part in enumerate(parts)]


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))

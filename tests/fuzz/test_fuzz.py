"""Hundreds of wrong or odd commands and files: one line and exit code 2, or a right result, and nothing half-written.

A few of them here; 600, of another seed each time it is given, by `make fuzz` (DSBENCH_FUZZ=SEED).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import odd
import pytest
from made_sweeps import four_cells, make

from dsbench.cli import hydra
from dsbench.data import sources
from dsbench.errors import FailureError, InputError
from dsbench.run import execute

READ, EXECUTE = sources.read, execute.execute
SEED = os.environ.get("DSBENCH_FUZZ", "")
CASES = {"commands": (12, 260), "yaml": (4, 100), "arrays": (4, 80), "records": (5, 160), "runs": (2, 60)}
OURS = (AssertionError, AttributeError, IndexError, KeyError, NameError, OverflowError, TypeError, ZeroDivisionError)
REMADE = ("runs.csv", "cells.csv", ".lock")  # by whatever reads a sweep
HALF = (".lock", ".lease-")  # what may begin with a dot


def cases(kind: str) -> Iterator[Random]:
    """A generator a case."""
    only = os.environ.get("DSBENCH_FUZZ_CASE")
    for number in [int(only)] if only else range(CASES[kind][bool(SEED)]):
        random = Random(f"{SEED or 0} {kind} {number}")
        random.number = number  # type: ignore[attr-defined]
        yield random


class Fuzz:
    """Runs commands in this process and keeps what was wrong about them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> None:
        self.monkeypatch, self.capsys, self.place = monkeypatch, capsys, place
        self.faults: list[str] = []
        self.codes: dict[int, int] = {}

    def run(self, random: Random, name: str, *arguments: str) -> str | None:
        """Any end but one line and exit code 2, or success, is a fault; so is what a refused command leaves.

        Returns what it printed, None where it was refused.
        """
        before = odd.tree(self.place)
        for variable in ("DSBENCH_FULL_ERROR", "DSBENCH_HYDRA_DIR"):
            self.monkeypatch.delenv(variable, raising=False)
        self.monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        self.monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        errors: list[BaseException] = []
        report = hydra._report

        def kept(error: BaseException) -> int:
            errors.append(error)
            return report(error)

        self.capsys.readouterr()
        sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # as Python has it
        with self.monkeypatch.context() as patched:
            patched.setattr(hydra, "_report", kept)
            try:
                getattr(hydra, name)()
                code: Any = "no exit"
            except SystemExit as ended:
                code = ended.code or 0
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
        out, err = self.capsys.readouterr()
        self.codes[code] = self.codes.get(code, 0) + 1
        wrong = self._wrong(code, err, errors, before)
        if wrong:
            line = " ".join([name, *map(repr, arguments)])[:600]
            self.faults.append(f"case {random.number}: {line}\n    {wrong}")  # type: ignore[attr-defined]
        return None if code else out

    def _wrong(self, code: Any, err: str, errors: list[BaseException], before: dict[str, Any]) -> str:
        from typer.exceptions import TyperException

        last = (err.strip().splitlines() or [""])[-1]
        if "Traceback" in err:
            return f"a traceback: {last}"
        if code not in (0, 1, 2):
            return f"ended with {code}"
        if code and not last.startswith("error: "):
            return f"exit code {code} without an error: {last!r}"
        for error in errors:
            if code != 2 and not isinstance(error, (FailureError, TyperException)):
                return f"an error of ours, not of the input: {type(error).__name__}: {last}"
            if isinstance(error.__cause__, OURS):
                return f"an error of ours in the words of one of the input: {error.__cause__!r}: {last[:300]}"
        after = odd.tree(self.place)
        half = [path for path in after if Path(path).name.startswith(".") and not Path(path).name.startswith(HALF)]
        if half:
            return f"half-written: {half}"
        if code:
            changed = {path for path in before.keys() | after.keys() if before.get(path, 0) != after.get(path, 0)}
            left = [path for path in changed if not Path(path).name.startswith((*REMADE, *HALF))]
            if left:
                return f"refused, and yet changed: {sorted(left)[:5]}"
        return ""

    def check(self) -> None:
        """Fail, with every fault, where there was one."""
        total = sum(self.codes.values())
        print(f"{total} commands, by exit code: {self.codes}")
        assert not self.faults, f"{len(self.faults)} of {total}:\n" + "\n".join(self.faults)


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, _logging: None) -> Fuzz:
    """Commands run where nothing is trained, measured or fetched: what plans or reads does all of its work."""
    from dsbench.cli import bench

    def refuse(*_: Any, **__: Any) -> Any:
        raise InputError("nothing is fetched, trained or measured here")

    monkeypatch.setattr(sources, "read", refuse)
    for name in ("_measured", "asked"):
        monkeypatch.setattr(bench, name, refuse)
    monkeypatch.setattr(execute, "execute", lambda plan, progress: plan.facts())
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return Fuzz(monkeypatch, capsys, place)


def test_odd_commands(fuzz: Fuzz, data_root: Path) -> None:
    made = make(fuzz.place / "outputs", four_cells())
    assert made.runs["status"].eq("done").all()
    known = odd.keys()
    base = ["data=mnist5k", f"data.root={data_root}", "logger=csv", "precision=32", "threads=1"]
    for random in cases("commands"):
        which = random.random()
        if which < 0.4:
            fuzz.run(random, "train", *base, *odd.overrides(random, known))
        elif which < 0.55:
            fuzz.run(random, "sweep", "-m", *base, "plan=true", *odd.overrides(random, known))
        elif which < 0.65:
            fuzz.run(random, "dsbench", "cost", *odd.overrides(random, known), *odd.flags(random, "cost"))
        else:
            command = random.choice([name for name in odd.FLAGS if name != "cost"])
            fuzz.run(random, "dsbench", command, *odd.flags(random, command))
    fuzz.check()


CONF = Path(__file__).parents[2] / "conf"
FILES = ("arch/plain", "arch/cifar10_vgg", "block/keras", "data/mnist5k", "optimizer/adam", "schedule/one_cycle")
FURTHER = ("experiment/mnist_7800/cnn", "sweep/width", "logger/wandb", "model/hybrid")


def test_broken_yaml_files(fuzz: Fuzz, data_root: Path) -> None:
    for random in cases("yaml"):
        name = random.choice(FILES + FURTHER)
        group = name.partition("/")[0]
        folder = fuzz.place / "conf"
        shutil.rmtree(folder, ignore_errors=True)
        file = folder / group / "mine.yaml"
        file.parent.mkdir(parents=True)
        text = odd.broken_yaml(random, (CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        file.write_bytes(text.encode(errors="surrogateescape"))
        which = ["logger=csv"] * (group != "logger") + ["data=mnist5k"] * (group != "data")
        which = [f"{group}=mine", f"data.root={data_root}", *which, "precision=32", "threads=1"]
        if group == "sweep" or random.random() < 0.3:
            fuzz.run(random, "sweep", "-m", "plan=true", *which, "--config-dir", str(folder))
        else:
            fuzz.run(random, "train", *which, "--config-dir", str(folder))
    fuzz.check()


def test_odd_arrays(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "read", READ)
    root = fuzz.place / "data"
    root.mkdir()
    for random in cases("arrays"):
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        arrays = odd.odd_arrays(random)
        np.savez(root / "own.npz", **arrays)
        if random.random() < 0.1:
            content = (root / "own.npz").read_bytes()
            (root / "own.npz").write_bytes(content[: random.randrange(len(content))])
        described = fuzz.run(random, "dsbench", "data", "describe", str(root / "own.npz"))
        if described:
            (root / "conf" / "data").mkdir(parents=True)
            (root / "conf" / "data" / "own.yaml").write_text(described)
            which = ["data=own", f"data.root={root}", "train.batch_size=5", "slots.stride=1", "logger=csv"]
            fuzz.run(random, "train", *which, "arch=mnist_7800_shallow", "--config-dir", str(root / "conf"))
    fuzz.check()


SWEEP_FILES = ("sweep.yaml", "plan.csv", "looks.json")
RUN_FILES = ("result.json",) * 8 + ("metrics.csv", "confusion.json", "test_correct.bits", ".lease-1")
READERS = (
    ["results"],
    ["results", "--runs", "--json"],
    ["results", "made", "--csv"],
    ["results", "made"],
    ["verdict"],
    ["verdict", "made", "--details"],
    ["verdict", "made", "--json"],
    ["clean"],
    ["claims", "mnist_7800", "--outputs", "outputs"],
)
DRAWERS = (["figures", "made"], ["report", "made"])


def measured(record: dict[str, Any]) -> dict[str, Any]:
    """The record with what `dsbench bench` adds to one."""
    from made import timed

    (out,) = timed([record], record["width"])
    return out | {"peak_memory_bytes": 10**6, "requested": None}


def test_damaged_records(fuzz: Fuzz) -> None:
    make(fuzz.place / "outputs", [measured(record) for record in four_cells()])
    fuzz.run(Random(), "dsbench", "verdict", "made")
    whole = fuzz.place.with_name("whole")
    shutil.copytree(fuzz.place / "outputs", whole)
    for random in cases("records"):
        shutil.rmtree(fuzz.place / "outputs")
        shutil.copytree(whole, fuzz.place / "outputs")
        if random.random() < 0.75:
            folder = random.choice(sorted(path.parent for path in fuzz.place.glob("outputs/runs/*/result.json")))
            file = folder / random.choice(RUN_FILES)
        else:
            file = fuzz.place / "outputs" / "sweeps" / "made" / random.choice(SWEEP_FILES)
        content = file.read_bytes().decode(errors="replace") if file.exists() else '{"pid": 1}'
        damage = odd.damaged_json if file.suffix == ".json" and content.startswith(("{", "[")) else odd.damaged_text
        how = random.random()
        if how < 0.03:
            file.unlink(missing_ok=True)
            file.mkdir()
        elif how < 0.06:
            file.unlink(missing_ok=True)
            file.symlink_to(file)
        else:
            file.write_bytes(damage(random, content))
        commands = random.sample(READERS, 2) + ([random.choice(DRAWERS)] if SEED and random.random() < 0.15 else [])
        for command in commands:
            before = len(fuzz.faults)
            fuzz.run(random, "dsbench", *command)
            if len(fuzz.faults) > before:
                shown = file.read_bytes()[:0] if not file.is_file() else _difference(content, file.read_bytes())
                fuzz.faults[-1] += f"\n    {file.name}: {shown!r}"
    fuzz.check()


def test_damaged_files_of_a_run(
    fuzz: Fuzz, quick: tuple[str, ...], ran: Callable[[str], tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is damaged is named, set aside, made anew or of no matter; the run is trained where it has to be."""
    monkeypatch.setattr(execute, "execute", EXECUTE)
    line = "arch=mnist_7800_shallow model=dwsep width=2 train.max_epochs=1"
    plan, _ = ran(line)
    for random in cases("runs"):
        shutil.rmtree(fuzz.place / "outputs", ignore_errors=True)
        folder = Path(shutil.copytree(plan.folder.path, fuzz.place / "outputs" / "runs" / plan.run_id))
        file = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        content, stood = file.read_bytes(), file.stat()
        if random.random() < 0.1:
            file.unlink()
        elif file.suffix == ".ckpt":
            file.write_bytes(content[: random.randrange(len(content))])
        else:
            damage = odd.damaged_json if file.suffix == ".json" else odd.damaged_text
            file.write_bytes(damage(random, content.decode(errors="replace")))
        if file.exists():  # a lease that is renewed now, by nobody knows whom, would be waited for
            os.utime(file, ns=(stood.st_atime_ns, stood.st_mtime_ns))
        if random.random() < 0.3 and (folder / "result.json").exists():
            record = folder / "result.json"
            record.write_bytes(record.read_bytes().replace(b'"status": "done"', b'"status": "running"'))
        before = len(fuzz.faults)
        fuzz.run(random, "dsbench", "bench", str(folder))
        fuzz.run(random, "train", *quick, "outputs=outputs", *line.split())
        if len(fuzz.faults) > before:
            fuzz.faults[-1] += f"\n    damaged: {file.relative_to(folder)}"
    fuzz.check()


def _difference(before: str, after: bytes) -> list[str]:
    """The lines that differ, of the form in which the file is."""
    lines = after.decode(errors="replace").splitlines()
    try:
        old = json.dumps(json.loads(before), indent=2).splitlines()
    except ValueError:
        old = before.splitlines()
    return [line for line in lines if line not in set(old)][:6]

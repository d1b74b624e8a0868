"""Networks on chips, as `dsbench bench --chips` asks for them, keeps their files and prints what they say."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.chips.chip import Chip
from dsbench.chips.files import ENDINGS, Deployable
from dsbench.chips.measure import on_chips, steps, unsaid
from dsbench.chips.names import chips
from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.cli.output import remark
from dsbench.errors import InputError
from dsbench.measure.progress import Measuring
from dsbench.quantities import JUDGED_ON_CHIP, ON_CHIP, QUANTITIES
from dsbench.sweep.networks import NamedNetwork, file_names
from dsbench.tables import Column, Table, figures, filled, numbers, texts, written

Distinctions = Callable[..., list[Column]]  # the columns in which networks differ, and further ones


def chosen(
    names: str | None, onnx: bool | None, keep: Path | None, of_runs: bool, config_dir: str | None
) -> list[Chip]:
    """The chips that --chips NAMES and --onnx ask for; without either, ONNX Runtime where --keep is to keep its files.

    And of runs where it is installed: else a line says that it is not. Raises InputError for options that contradict
    each other, and where a chip or its extra is not there.
    """
    given = names.split(",") if names is not None else []
    if onnx is False and OnnxRuntime.runtime in given:
        raise InputError(f"--chips {names} asks ONNX Runtime, and --no-onnx does not; give one of the two")
    if onnx is False and keep is not None and not given:
        raise InputError(f"--keep {keep} keeps the files of chips, and --no-onnx asks none; give one of the two")
    if onnx is None and not given:
        missing = OnnxRuntime.missing() if of_runs else None
        onnx = keep is not None or (of_runs and not missing)
        if missing and not onnx:
            remark(f"without ONNX Runtime: {missing}")
    return chips([*given, *([OnnxRuntime.runtime] if onnx else [])], config_dir)


@contextmanager
def files_kept(keep: Path | None) -> Iterator[Path]:
    """A folder for the files that chips read, gone afterwards; they are copied into `keep` once all went well.

    Raises InputError where nothing can be written to `keep`.
    """
    if keep is not None:
        _check_folder(keep)
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        yield Path(folder)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            files = [path for path in sorted(Path(folder).iterdir()) if path.suffix in ENDINGS.values()]
            remark(f"kept: {', '.join(str(shutil.copy(path, keep)) for path in files)}")


def _check_folder(keep: Path) -> None:
    """Raise InputError where no file can be written to `keep`; a folder made to find out goes again."""
    new = [path for path in (keep, *keep.parents) if not path.exists()]
    try:
        keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=keep):
            pass
    except OSError as error:
        raise InputError(f"--keep {keep}: {error.strerror}") from None
    finally:
        for path in new:
            if path.is_dir():
                path.rmdir()


def asked(
    networks: Sequence[NamedNetwork], of: Sequence[Chip], folder: Path, seconds: float, repeats: int
) -> Sequence[dict[str, Any]]:
    """What the chips say of each network, each for `seconds` at the most in `repeats` processes; their files stay.

    Raises InputError where one refuses the only network.
    """
    if not of:
        return [{} for _ in networks]
    deployables = [
        Deployable(name, network.network, network.run)
        for network, name in zip(networks, file_names(networks), strict=True)
    ]
    with Measuring(steps(of, repeats)) as say:
        sections = on_chips(deployables, of, folder, seconds, repeats, say)
    for said in sections[0].values() if len(networks) == 1 else ():
        if "refused" in said:
            raise InputError(said["refused"])
    return sections


@dataclass(frozen=True)
class _Row:
    """What a chip says of the network with this number in one precision; `failed` is why it says nothing."""

    network: int
    chip: str
    precision: str
    said: Mapping[str, Any]
    failed: str = ""


def chips_shown(
    sections: Sequence[Mapping[str, Any]], trained: Sequence[float | None], columns_of: Distinctions, short: str
) -> list[Table | str]:
    """The `chips` sections of networks as tables, with what each chip stands for; `short` names the first network.

    `trained` has the test accuracy that the run of each recorded.
    """
    rows = [row for number, chips in enumerate(sections) for row in _rows(number, chips)]
    out: list[Table | str] = [_figures(rows, trained, columns_of)]
    if len(sections) > 1:
        out.append(_ratios(rows, len(sections), columns_of, short))
    out += [_explained(entry) for entry in sections[0].values()]
    if any("test_acc" in row.said for row in rows):
        out.append("points: the accuracy of the file on all test images, less that of the run in its own test")
    return [*out, *_left_to_the_cpu(rows)]


def settled(sections: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every time in the `chips` sections of networks settled."""
    said = [row.said for number, chips in enumerate(sections) for row in _rows(number, chips)]
    return all(one["latency_ms"]["settled"] for one in said if "latency_ms" in one)


def _rows(number: int, chips: Mapping[str, Any]) -> Iterator[_Row]:
    for chip, entry in chips.items():
        if why := unsaid(entry):
            yield _Row(number, chip, "", {}, why)
        for precision, said in entry.items():
            if isinstance(said, Mapping) and precision != "versions":
                yield _Row(number, chip, precision, said)


def _figures(rows: Sequence[_Row], trained: Sequence[float | None], columns_of: Distinctions) -> Table:
    """A row a network, chip and precision; columns for what any of them says."""
    accuracies = [row.said.get("test_acc") for row in rows]
    pairs = zip(accuracies, (trained[row.network] for row in rows), strict=True)
    off = [None if own is None or run is None else 100 * (own - run) for own, run in pairs]
    told: dict[str, list[str]] = {"chip": [row.chip for row in rows]}
    told["precision"] = [row.precision.replace("_", " ") for row in rows]
    columns = [
        *columns_of([row.network for row in rows], **told),
        written("us", [_microseconds(row.said.get("latency_ms")) for row in rows]),
        *(figures(quantity, [row.said.get(quantity.name) for row in rows]) for quantity in ON_CHIP),
        figures(QUANTITIES["test_acc"], accuracies, "test accuracy"),
        numbers("points", off, "{:+.2f}".format),
        texts("failed", [row.failed for row in rows]),
    ]
    return Table("chips, one image", tuple(filled(columns)))


def _microseconds(time: Mapping[str, Any] | None) -> str:
    if time is None:
        return ""
    return f"{1e3 * time['median']:,.1f} ± {1e3 * time['iqr']:,.1f}{' ' if time['settled'] else '*'}"


def _ratios(rows: Sequence[_Row], count: int, columns_of: Distinctions, short: str) -> Table:
    """What decides on each chip, divided by the first network's; one column a chip and precision."""
    columns = []
    by_place = {(row.chip, row.precision, row.network): row.said for row in rows}
    for chip, precision in dict.fromkeys((row.chip, row.precision) for row in rows if row.network == 0):
        first = by_place[chip, precision, 0]
        name = next((name for name in JUDGED_ON_CHIP if name in first), None)
        if name is None:
            continue
        own = [_figure(by_place.get((chip, precision, number), {}), name) for number in range(count)]
        ratios = [value / own[0] if value is not None and own[0] else None for value in own]
        columns.append(numbers(f"{chip} {precision.replace('_', ' ')} {JUDGED_ON_CHIP[name]}", ratios, "{:.3f}".format))
    return Table(f"times {short}, on chips", (*columns_of(range(count)), *columns))


def _figure(said: Mapping[str, Any], name: str) -> float | None:
    value = said.get(name)
    return value["median"] if isinstance(value, Mapping) else value


def _explained(entry: Mapping[str, Any]) -> str:
    return f"{entry['title']}: " + ", ".join(f"{name} {version}" for name, version in entry["versions"].items())


def _left_to_the_cpu(rows: Sequence[_Row]) -> list[str]:
    """A line for each chip and what it leaves to the CPU."""
    left = dict.fromkeys(
        f"{row.chip} leaves to the CPU: {row.said['cpu_operator_names']}"
        for row in rows
        if "cpu_operator_names" in row.said
    )
    return list(left)

"""`dsbench export`: the networks of finished runs as files that other runtimes read."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from dsbench.chips.accuracy import RUNTIMES, int8_accuracies
from dsbench.chips.chip import Chip
from dsbench.chips.files import ENDINGS, Deployable, file_name
from dsbench.cli.output import print_json, remark, show
from dsbench.errors import InputError, choose
from dsbench.numerals import percent
from dsbench.process import wait_briefly
from dsbench.quantities import QUANTITIES
from dsbench.sweep.networks import NamedNetwork, differing_keys, differing_values, file_names, names_of, networks
from dsbench.tables import Column, Table, figures, names, numbers, texts

_COMPARED = 1000  # test images, on which the file's answers are compared with torch's


def export(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders of finished runs, or of sweeps.")],
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="onnx or tflite; else as --out ends, else onnx.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="In int8, calibrated on training images; else in fp32.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File or folder; else <run_id>.onnx in the current folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object, or a list of several.")] = False,
) -> None:
    """Write trained networks as ONNX or TFLite files, in fp32 or in int8, with the weights that were tested.

    The folder of a sweep stands for a finished run of each of its cells. Batch norms are folded into the convolutions
    before them. Each file is opened in its runtime and asked for test images, beside torch; --int8 tests all of them.
    """
    form = _form(form, out)
    chip = next(chip for chip in RUNTIMES if chip.format == form)
    missing = chip.missing()
    if missing is not None:
        raise InputError(f"--format {form}: {missing}")
    named = _runs(runs)
    kind = form, "int8" if int8 else "fp32"
    deployables = [
        Deployable(name, network.network, network.run) for network, name in zip(named, file_names(named), strict=True)
    ]
    files = _files([file_name(network.name, kind) for network in deployables], out)
    wait_briefly()  # before torch is imported
    from dsbench import torchvision_ops

    torchvision_ops.ensure()  # before Lightning imports torchvision
    entries = []
    for network, file in zip(deployables, files, strict=True):
        try:
            network.write(kind, file)
        except OSError as error:
            raise InputError(f"cannot write {file}: {error.strerror}") from None
        entry = {"file": str(file), "bytes": file.stat().st_size}
        entries.append(entry | _operators(form, file) | _compared(network, chip, file))
    if int8:
        for entry, accuracies in zip(entries, int8_accuracies(deployables, [chip]), strict=True):
            entry["test_acc"] = {precision: accuracy for (_, precision), accuracy in accuracies.items()}
    objects = [network.name | entry for network, entry in zip(named, entries, strict=True)]
    print_json(objects) if as_json else show(_table(named, entries, chip))


def _form(given: str | None, out: Path | None) -> str:
    """The format that is asked for. Raises InputError where --out ends as another's files do."""
    endings = {ending: form for form, ending in ENDINGS.items()}
    by_out = endings.get(out.suffix) if out else None
    form = by_out or "onnx" if given is None else choose("--format", given, ENDINGS)
    if by_out not in (None, form):
        raise InputError(f"--out {out} is named as files of {by_out} are, and --format is {form}")
    return form


def _runs(arguments: Sequence[str]) -> list[NamedNetwork]:
    for argument in arguments:
        if not os.path.isdir(argument):
            raise InputError(f"{argument} is not the folder of a run, outputs/runs/<run_id>, or of a sweep")
    return networks(arguments)


def _files(names: Sequence[str], out: Path | None) -> list[Path]:
    """Where each file goes. Raises InputError where there is no folder for it."""
    if out is None:
        return [Path(name) for name in names]
    if out.is_dir():
        return [out / name for name in names]
    if len(names) > 1:
        raise InputError(f"--out {out} is one place for {len(names)} runs; give a folder that is there")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.absolute().parent}")
    return [out]


def _operators(form: str, file: Path) -> dict[str, Any]:
    """Of a TFLite file, which microcontrollers read: there, each kernel is registered by hand."""
    if form != "tflite":
        return {}
    from dsbench.deploy.tflite import operators_of

    return {"operators": operators_of(file)}


def _compared(network: Deployable, chip: Chip, file: Path) -> dict[str, Any]:
    """How many of some test images the file answers as torch does; nothing where the run's images are not there."""
    import torch

    try:
        data = network.data
    except InputError as error:
        remark(f"not compared with torch: {error}")
        return {}
    assert data is not None
    images = torch.cat([some for some, _ in islice(data.test, math.ceil(_COMPARED / data.test.batch_size))])[:_COMPARED]
    with torch.inference_mode():
        expected = network.module(images).argmax(1)
    backend = chip.opened(file)
    answers = torch.as_tensor(backend.forward(backend.prepared(images))).argmax(1)
    return {"compared_images": len(images), "same_answers": int((answers == expected).sum())}


def _table(named: Sequence[NamedNetwork], entries: Sequence[dict[str, Any]], chip: Chip) -> Table:
    of = names_of(named)
    keys = [key for key in differing_keys(of) if key != "run"] if len(named) > 1 else []
    rows = [dict(zip(differing_keys(of), values, strict=True)) for values in differing_values(of)]
    columns: list[Column] = [
        *names({key: [row[key] for row in rows] for key in keys}),
        texts("file", [entry["file"] for entry in entries]),
        numbers("bytes", [entry["bytes"] for entry in entries], "{:,}".format),
        numbers("answers as torch", [_share(entry) for entry in entries], percent),
    ]
    recorded = [_recorded(network) for network in named]
    precisions = list(dict.fromkeys(precision for entry in entries for precision in entry.get("test_acc", {})))
    if precisions:
        columns.append(figures(QUANTITIES["test_acc"], recorded, "test accuracy, trained"))
    for precision in precisions:
        right = [entry["test_acc"].get(precision) for entry in entries]
        off = [None if a is None or b is None else 100 * (a - b) for a, b in zip(right, recorded, strict=True)]
        heading = precision.replace("_", " ")
        columns += [
            figures(QUANTITIES["test_acc"], right, heading),
            numbers(f"{heading}, points", off, "{:+.2f}".format),
        ]
    images = max(entry.get("compared_images", 0) for entry in entries)
    operators = dict.fromkeys(name for entry in entries for name in entry.get("operators", ()))
    return Table("exported", tuple(columns), note=_note(images, chip, bool(precisions), list(operators)))


def _share(entry: dict[str, Any]) -> float | None:
    return entry["same_answers"] / entry["compared_images"] if "compared_images" in entry else None


def _recorded(network: NamedNetwork) -> float | None:
    assert network.run is not None
    result = network.run.record.result
    return result.test_acc if result else None


def _note(images: int, chip: Chip, int8: bool, operators: Sequence[str]) -> str:
    parts = [f"answers as torch: the same class for {images:,} test images in {chip.runtime}"] if images else []
    if int8:
        parts.append("int8: calibrated on training images, tested on all test images; points against the run's own")
    if operators:
        parts.append(f"operators, which a microcontroller's resolver registers: {', '.join(operators)}")
    return "; ".join(parts)

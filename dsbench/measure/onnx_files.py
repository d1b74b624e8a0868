"""Where a network's ONNX files lie, and whether the packages are installed that make them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dsbench.errors import InputError


@dataclass(frozen=True)
class Files:
    """The fp32 file and the int8 file of one network."""

    fp32: Path
    int8: Path

    @classmethod
    def named(cls, folder: Path, name: str) -> Files:
        """`name`.onnx and `name`.int8.onnx in `folder`."""
        return cls(folder / f"{name}.onnx", folder / f"{name}.int8.onnx")


PACKAGES = ("onnx", "onnxruntime", "onnxscript")  # the last is what torch's exporter is written in


def lacking() -> str | None:
    """What is missing and how to get it, in one line; None where everything is there."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    return f"no {', '.join(missing)} here, which ONNX needs: pip install 'dsbench[onnx]'" if missing else None


def check_installed() -> None:
    """Raise InputError where a package is missing."""
    line = lacking()
    if line is not None:
        raise InputError(line)

"""Where a network's ONNX files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """The fp32 file and the int8 file of one network."""

    fp32: Path
    int8: Path

    @classmethod
    def named(cls, folder: Path, name: str) -> Files:
        """`name`.onnx and `name`.int8.onnx in `folder`."""
        return cls(folder / f"{name}.onnx", folder / f"{name}.int8.onnx")

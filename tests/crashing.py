"""A runtime that crashes, in a module that its process imports quickly."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dsbench.chips.chip import Chip


@dataclass(frozen=True, kw_only=True)
class Crashing(Chip):
    """A runtime that takes its process with it when it reads a file whose name begins with `bad`."""

    runtime: ClassVar[str] = "crashing"
    packages: ClassVar[dict[str, str]] = {}
    extra: ClassVar[str] = "none"
    format: ClassVar[str] = "tflite"
    timed: ClassVar[bool] = False
    known_precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    bad: str = "bad"

    def counted(self, file: Path, precision: str) -> dict[str, Any]:
        if file.name.startswith(self.bad):
            os.write(2, b"check failed: arena\n")
            os.abort()
        return {"cycles": 7}

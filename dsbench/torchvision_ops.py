"""What lets torchvision be imported beside a torch that its compiled operators were not built for.

torchvision's wheel on PyPI is built for a CUDA torch. Beside a CPU-only torch its library cannot be loaded, and
importing it fails with "operator torchvision::nms does not exist", although dsbench, torchmetrics and Lightning use
none of its operators. Declaring the two schemas its import looks up is enough.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_declared: Any = None  # torch forgets the schemas when this Library is collected


def ensure() -> None:
    """Declare torchvision's operators where its compiled ones are missing; call before anything imports torchvision.

    The library is loaded as torchvision/extension.py would, so operators that work stay as they are. A second call
    does nothing.
    """
    global _declared
    if _declared is not None or "torchvision" in sys.modules:
        return
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    import torch

    if _missing():
        _load_compiled(Path(spec.submodule_search_locations[0]))
    missing = _missing()
    if missing:
        _declared = torch.library.Library("torchvision", "FRAGMENT")
        for schema in missing:
            _declared.define(schema)


def _missing() -> list[str]:
    import torch

    return [schema for name, schema in SCHEMAS.items() if not hasattr(torch.ops.torchvision, name)]


def _load_compiled(package: Path) -> None:
    import torch

    for library in sorted(package.glob("_C*.so")):
        with suppress(OSError):  # built for another torch
            torch.ops.load_library(library)

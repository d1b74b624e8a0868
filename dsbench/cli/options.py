"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NETWORKS = (
    "Overrides as for sweep.py (model=cnn,dwsep width=8), or folders of finished runs (outputs/runs/<run_id>), sweeps."
)
_OUTPUTS = typer.Option(metavar="DIR", help="Folder of results, as outputs= sets it.")

Outputs = Annotated[Path, _OUTPUTS]
OUTPUTS = Path("outputs")
OutputsIfGiven = Annotated[Path | None, _OUTPUTS]  # else as outputs= or the configuration says
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="Percentage points that accuracies may differ by and be as good; else those of the sweep or data set.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION", help="Only where this holds: model=dwsep,cnn width!=8 macs<=1e6 fine_width=null."
    ),
]

"""The numbers of a roofline (Williams et al. 2009), as types and as the record of a run holds them.

It sets a training step, layer by layer, against the roofs of the device. dsbench.measure.roofline_words has the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dsbench.network.layers import Shape

TOGETHER = 6  # networks at the most whose rooflines a sweep shows side by side
OVERHEAD = 4.0  # a layer that takes more than this many times its attainable time is bound by neither roof


@dataclass(frozen=True)
class Rates:
    """FLOP per second of a matrix product and of a dense convolution, and bytes copied per second, read and written."""

    mm_flops: float
    conv_flops: float
    bandwidth: float

    @property
    def flops(self) -> float:
        """FLOP per second that a layer can attain: a convolution may have a better kernel than the matrix product."""
        return max(self.mm_flops, self.conv_flops)

    @property
    def ridge(self) -> float:
        """FLOP per byte from which on arithmetic is the limit (Williams et al. 2009)."""
        return self.flops / self.bandwidth

    def best(self, other: Rates) -> Rates:
        """The larger of each: a disturbance of the machine makes rates smaller, never larger."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(Rates))
        return Rates(*(max(pair) for pair in pairs))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer, several or all, forward and backward: `macs` are those of the forward pass, for the whole batch.

    `compute_ms` is operations over the attainable rate, `memory_ms` bytes over the bandwidth, `attainable_ms` the
    larger of the two; of several layers each is the sum. `share` and `mac_share` are shares of the whole step, 0 to 1.
    """

    time_ms: float
    share: float
    macs: int
    mac_share: float
    flops: int
    bytes: int
    compute_ms: float
    memory_ms: float
    attainable_ms: float

    @property
    def bound(self) -> str:
        """What limits it: "overhead" above OVERHEAD times the attainable time, else "compute" or "memory"."""
        if self.time_ms > OVERHEAD * self.attainable_ms:
            return "overhead"
        return "compute" if self.compute_ms >= self.memory_ms else "memory"

    @property
    def efficiency(self) -> float:
        """Attainable over measured time; above 1 where tensors stay in a cache that is faster than the memory."""
        return self.attainable_ms / self.time_ms if self.time_ms else 0.0

    @property
    def intensity(self) -> float:
        """FLOP per byte; 0 where nothing is computed."""
        return self.flops / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, kw_only=True)
class LayerRow(Row):
    """One operation of the step; `slot` is the slot it belongs to (from 1), or None; the shape is that of one image."""

    label: str
    kind: str
    slot: int | None
    output_shape: Shape
    forward_ms: float
    backward_ms: float


@dataclass(frozen=True, kw_only=True)
class KindRow(Row):
    """All `layers` layers of one kind."""

    kind: str
    layers: int


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """A network's training step on one device, layer by layer in order of execution; then loss and optimizer.

    `total` sums the medians of the layers, `step_ms` are lower quartile, median and upper quartile of whole steps.
    `busy` is the share of the time in which the process had a core, 0 to 1; None where another device computed.
    """

    name: str
    batch_size: int
    device: str
    precision: str
    threads: int
    rates: Rates
    steps: int
    step_ms: tuple[float, float, float]
    busy: float | None
    layers: tuple[LayerRow, ...]
    kinds: tuple[KindRow, ...]
    total: Row


def record(roofline: Roofline) -> dict[str, Any]:
    """All that was measured and what follows from it, as JSON can hold it."""
    low, median, high = roofline.step_ms
    return {
        "rates": asdict(roofline.rates) | {"flops": roofline.rates.flops, "ridge": roofline.rates.ridge},
        "overhead_above": OVERHEAD,
        "batch_size": roofline.batch_size,
        "steps": roofline.steps,
        "step_ms": {"lower_quartile": low, "median": median, "upper_quartile": high},
        "busy": roofline.busy,
        "total": _row(roofline.total),
        "kinds": [_row(row) for row in roofline.kinds],
        "layers": [_row(row) for row in roofline.layers],
    }


def section(roofline: Roofline | None, session: str) -> dict[str, Any]:
    """What joins the record of a run, with the session in which the network took turns; empty without a roofline."""
    return {} if roofline is None else {"roofline": record(roofline) | {"session": session}}


def read(section: Mapping[str, Any], name: str, place: Mapping[str, Any]) -> Roofline:
    """The roofline of which `record` made `section`; `place` names its device, precision and threads.

    Raises KeyError where a key is missing.
    """
    step = section["step_ms"]
    return Roofline(
        name=name,
        batch_size=section["batch_size"],
        device=place["device"],
        precision=place["precision"],
        threads=place["threads"],
        rates=Rates(**_own(Rates, section["rates"])),
        steps=section["steps"],
        step_ms=(step["lower_quartile"], step["median"], step["upper_quartile"]),
        busy=section["busy"],
        layers=tuple(
            LayerRow(**_own(LayerRow, row) | {"output_shape": tuple(row["output_shape"])}) for row in section["layers"]
        ),
        kinds=tuple(KindRow(**_own(KindRow, row)) for row in section["kinds"]),
        total=Row(**_own(Row, section["total"])),
    )


def _own(cls: type, row: Mapping[str, Any]) -> dict[str, Any]:
    values = {field.name: row[field.name] for field in fields(cls)}
    return values | ({"kind": "optimizer"} if values.get("kind") == "optimiser" else {})  # as older records spell it


def _row(row: Row) -> dict[str, Any]:
    return asdict(row) | {"bound": row.bound, "efficiency": row.efficiency, "intensity": row.intensity}

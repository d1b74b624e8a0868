"""Rooflines of made-up numbers."""

from __future__ import annotations

from typing import Any

from dsbench.measure.roofline_record import KindRow, LayerRow, Rates, Roofline, Row

RATES = Rates(mm_flops=1e11, conv_flops=2e11, bandwidth=4e10)  # they meet at 5 FLOP per byte


def roofline(name: str = "net", spread: float = 0.01, busy: float | None = 1.0, **kinds: tuple[float, ...]) -> Roofline:
    """One layer a kind, kind=(milliseconds, MACs, milliseconds that arithmetic needs, and that memory needs).

    The middle half of its steps is `spread` of their median wide to each side.
    """
    step_ms, macs = sum(row[0] for row in kinds.values()), sum(row[1] for row in kinds.values())
    rows = {kind.replace("_", " "): _measured(*row, step_ms, macs) for kind, row in kinds.items()}
    place: dict[str, Any] = {"slot": None, "output_shape": (8, 4, 4), "backward_ms": 0.0}
    layers = [
        LayerRow(label=f"one {kind}", kind=kind, forward_ms=row["time_ms"], **place, **row)
        for kind, row in rows.items()
    ]
    of_kinds = [KindRow(kind=kind, layers=1, **row) for kind, row in rows.items()]
    return Roofline(
        name=name,
        batch_size=32,
        device="a processor",
        precision="32",
        threads=1,
        rates=RATES,
        steps=9,
        step_ms=(step_ms * (1 - spread), step_ms, step_ms * (1 + spread)),
        busy=busy,
        layers=tuple(layers),
        kinds=tuple(sorted(of_kinds, key=lambda row: -row.time_ms)),
        total=Row(**{key: sum(row[key] for row in rows.values()) for key in Row.__dataclass_fields__}),
    )


def _measured(
    time_ms: float, macs: float, compute_ms: float, memory_ms: float, step_ms: float, all_macs: float
) -> dict[str, Any]:
    return {
        "time_ms": time_ms,
        "share": time_ms / step_ms,
        "macs": macs,
        "mac_share": macs / all_macs if all_macs else 0.0,
        "flops": round(compute_ms * RATES.flops / 1000),
        "bytes": round(memory_ms * RATES.bandwidth / 1000),
        "compute_ms": compute_ms,
        "memory_ms": memory_ms,
        "attainable_ms": max(compute_ms, memory_ms),
    }

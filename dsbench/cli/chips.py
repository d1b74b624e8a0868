"""Networks on chips, as `dsbench bench --chips` prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.quantities import JUDGED_ON_CHIP, ON_CHIP, QUANTITIES
from dsbench.tables import Column, Table, figures, filled, numbers, texts, written

Distinctions = Callable[..., list[Column]]  # the columns in which networks differ, and further ones


@dataclass(frozen=True)
class _Row:
    """What a chip says of the network with this number in one precision; `failed` is why it says nothing."""

    network: int
    chip: str
    precision: str
    said: Mapping[str, Any]
    failed: str = ""


def chips_shown(sections: Sequence[Mapping[str, Any]], columns_of: Distinctions, short: str) -> list[Table | str]:
    """The `chips` sections of networks as tables, with what each chip stands for; `short` names the first network."""
    rows = [row for number, chips in enumerate(sections) for row in _rows(number, chips)]
    out: list[Table | str] = [_figures(rows, columns_of)]
    if len(sections) > 1:
        out.append(_ratios(rows, len(sections), columns_of, short))
    out += [_explained(entry) for entry in sections[0].values()]
    return [*out, *_left_to_the_cpu(rows)]


def settled(sections: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every time in the `chips` sections of networks settled."""
    said = [row.said for number, chips in enumerate(sections) for row in _rows(number, chips)]
    return all(one["latency_ms"]["settled"] for one in said if "latency_ms" in one)


def _rows(number: int, chips: Mapping[str, Any]) -> Iterator[_Row]:
    for chip, entry in chips.items():
        if "failed" in entry:
            yield _Row(number, chip, "", {}, entry["failed"])
        for precision, said in entry.items():
            if isinstance(said, Mapping) and precision != "versions":
                yield _Row(number, chip, precision, said)


def _figures(rows: Sequence[_Row], columns_of: Distinctions) -> Table:
    """A row a network, chip and precision; columns for what any of them says."""
    told: dict[str, list[str]] = {"chip": [row.chip for row in rows]}
    told["precision"] = [row.precision.replace("_", " ") for row in rows]
    columns = [
        *columns_of([row.network for row in rows], **told),
        written("us", [_microseconds(row.said.get("latency_ms")) for row in rows]),
        *(figures(quantity, [row.said.get(quantity.name) for row in rows]) for quantity in ON_CHIP),
        figures(QUANTITIES["test_acc"], [row.said.get("test_acc") for row in rows], "test accuracy"),
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

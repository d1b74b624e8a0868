"""Every study network and `plain` on chips: python benchmarks/chips.py FOLDER [--groups NAME,...] [--plan] [--page]

`plain` at widths 8, 16 and 32 in cnn, dwsep and hybrid, matched to the conventional network by width, parameters, MACs
and activations, with kernels 3, 5 and 7 and depth multipliers 1 and 2, and by parameters and MACs with channels in
multiples of 8; and the networks of every study. Networks of a group take turns on one thread in fresh processes,
untrained: times do not depend on weights, and what is counted hardly does (Vela packs weights, so that its flash and
cycles differ a little once they are trained). `--counted` asks only chips that are not timed. After each group
FOLDER/networks.csv is written anew, a row a network; a group that has rows there is measured with `--again` alone, and
then replaces them. `--plan` lists the groups. `--page` measures nothing: it writes the tables of FOLDER/report.md and
its pictures anew from what is there.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import machine

from dsbench.errors import InputError, first_line
from dsbench.files import write_atomically
from dsbench.measure.record import flat
from dsbench.quantities import LIGHTER
from dsbench.verdict.chips import Said
from dsbench.verdict.timings import timings_on_chips

CHIPS = ("litert", "onnxruntime", "tflm", "ethos_u55_128", "ethos_u65_256", "ethos_u85_256")
STUDIES = ("mnist_7800", "matched_7800", "cifar10_vgg", "cifar10_fc", "cifar10_three_way", "cifar100_series")
PLAIN = "model=cnn,dwsep,hybrid width=8,16,32"
KERNELS, MULTIPLIERS = (3, 5, 7), (1, 2)
MATCHED = ("width", "params", "macs", "acts")  # by what, the first without a budget
OF_8 = ("params", "macs")  # those that are also matched by channels in multiples of 8
NAMES = ("model", "arch", "block", "width", "fine_width", "data")
REPEATS = 5
SECONDS = {"plain": 1.0, "study": 2.0}  # at the most a network and precision


def group_name(by: str, kernel: int, multiplier: int, of_8: bool = False) -> str:
    """The group of `plain` that is matched so."""
    return f"{by}_k{kernel}_m{multiplier}{'_of8' if of_8 else ''}"


def groups() -> dict[str, list[list[str]]]:
    """The overrides that name the networks of each group, in one or more products; kernel 3 and the studies first."""
    out = {}
    for kernel in KERNELS:
        for by in MATCHED:
            budget = "" if by == "width" else f" budget.match=cnn budget.by={by} budget.tolerance=0.1"
            for multiplier in MULTIPLIERS:
                text = f"{PLAIN} kernel={kernel} block.depth_multiplier={multiplier}{budget}"
                out[group_name(by, kernel, multiplier)] = [text.split()]
        if kernel == KERNELS[0]:
            out |= {group_name(by, kernel, 1, of_8=True): _of_8(by, kernel) for by in OF_8}
            out |= {f"study_{study}": [[f"experiment={','.join(_experiments(study))}"]] for study in STUDIES}
    return out


def _of_8(by: str, kernel: int) -> list[list[str]]:
    """Without the hybrid at width 8, of which no multiples of 8 are within the tolerance."""
    budget = f"kernel={kernel} block.depth_multiplier=1 budget.match=cnn budget.by={by} budget.multiple=8"
    networks = ("model=cnn,dwsep width=8,16,32", "model=hybrid width=16,32")
    return [f"{network} {budget} budget.tolerance=0.1".split() for network in networks]


def _experiments(study: str) -> list[str]:
    from dsbench.config.schema import conf_dir

    return [f"{study}/{path.stem}" for path in sorted((Path(conf_dir()) / "experiment" / study).glob("*.yaml"))]


@dataclass(frozen=True)
class Network:
    """A row of networks.csv: the network that the overrides `asked` for in `group`, its names, costs and chips.

    `chips` is what dsbench.chips.measure.on_chips said of it, as far as the file holds that.
    """

    group: str
    asked: dict[str, str]
    names: dict[str, Any]
    costs: dict[str, float]
    chips: dict[str, dict[str, Any]]

    @property
    def experiment(self) -> str:
        """Of a study: mnist_7800/cnn."""
        return self.asked.get("experiment", "")

    @property
    def width(self) -> int:
        """What was asked for, which is that of the conventional network that it is matched to."""
        return int(self.asked["width"])

    @cached_property
    def said(self) -> Said:
        """What compares with another network."""
        counted = flat({"chips": self.chips})
        figures: dict[str, dict[str, float]] = {}
        for path, value in counted.items():
            _, chip, precision, name = path.split("/")
            figures.setdefault(f"{chip}/{precision}", {})[name] = value
        return Said(figures, timings_on_chips([self.chips]))


def row(group: str, overrides: Sequence[str], name: Mapping[str, Any], costs: Mapping[str, Any], chips: Any) -> Any:
    """A network and all that is known of it, flat: times with their spread and the mean of each process.

    `chips` is what dsbench.chips.measure.on_chips says of it.
    """
    out: dict[str, Any] = {"group": group, "asked": " ".join(overrides), **{key: name[key] for key in NAMES}}
    out |= {cost.name: costs[cost.name] for cost in LIGHTER}
    for chip, section in chips.items():
        said = {key: value for key, value in section.items() if isinstance(value, Mapping) and key != "versions"}
        words = {key: section[key] for key in ("title", "measured_on", "failed") if key in section}
        words["versions"] = ", ".join(" ".join(pair) for pair in section["versions"].items())
        out |= {f"chips/{chip}/{key}": value for key, value in words.items()}
        out |= flat({"chips": {chip: said}}, spread=True)
        for precision, figures in said.items():
            repeats = figures.get("latency_ms", {}).get("repeats", ())
            if repeats:
                out[f"chips/{chip}/sessions"] = "; ".join(repeat["session"] for repeat in repeats)
                path = f"chips/{chip}/{precision}/latency_ms/repeats"
                out[path] = " ".join(f"{repeat['ms']:.6g}" for repeat in repeats)
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in out.items()}


def written(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, whose columns are those of all."""
    columns = dict.fromkeys(key for each in rows for key in each)
    order = {name: number for number, name in enumerate(groups())}
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(sorted(rows, key=lambda each: order.get(each["group"], len(order))))
    return text.getvalue()


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of networks.csv; none where it is not there. Raises InputError for what is no table of networks."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        try:
            found = list(csv.DictReader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path} is no table: {first_line(error)}") from None
    if any(None in each or each.get("group") is None for each in found):
        raise InputError(f"{path} is no table of networks: a row of it has other columns than measuring writes")
    return found


def networks(path: Path) -> list[Network]:
    """The networks of networks.csv. Raises InputError where a row is none that this has written."""
    out = []
    for number, each in enumerate(rows(path), start=1):
        try:
            out.append(_network(each))
        except (KeyError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: row {number} is none that measuring writes ({first_line(error)})") from None
    return out


def _network(each: Mapping[str, str]) -> Network:
    chips: dict[str, dict[str, Any]] = {}
    for path, text in each.items():
        if not path.startswith("chips/") or text == "":
            continue
        _, chip, key, *figure = path.split("/")
        section = chips.setdefault(chip, {})
        if key == "versions":
            section[key] = dict(package.split(" ") for package in text.split(", "))
        elif not figure:
            section[key] = text
        elif figure[0] != "latency_ms":
            section.setdefault(key, {})[figure[0]] = _number(text)
        elif figure[1:] == ["repeats"]:
            sessions = each[f"chips/{chip}/sessions"].split("; ")
            repeats = [
                {"session": session, "at": session.partition(" ")[0], "ms": float(ms)}
                for session, ms in zip(sessions, text.split(), strict=True)
            ]
            time = f"chips/{chip}/{key}/latency_ms"
            spread = {"median": float(each[time]), "settled": each[f"{time}/settled"] == "True"}
            section.setdefault(key, {})["latency_ms"] = {**spread, "repeats": repeats}
    return Network(
        group=each["group"],
        asked=dict(override.split("=", 1) for override in each["asked"].split()),
        names={name: each[name] for name in NAMES},
        costs={cost.name: _number(each[cost.name]) for cost in LIGHTER},
        chips=chips,
    )


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def measure(folder: Path, chosen: Sequence[str], timed: bool, again: bool) -> None:
    """Measure the groups that have no rows yet, and write the file after each; without `timed` of chips that count.

    `again` measures those that have rows, too; theirs are replaced once they are measured.
    """
    path, everything = folder / "networks.csv", groups()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name the folder that networks.csv is to stand in")
    for group in chosen:
        known = [each for each in rows(path) if each["group"] != group]
        if not again and len(known) < len(rows(path)):
            print(f"{group}: there already")
            continue
        start, load = time.monotonic(), machine.load_average()
        own = _measured(group, everything[group], timed)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, written([*known, *own]))
        print(f"{group}: {len(own)} networks, {time.monotonic() - start:.0f} s, load average {load:.1f} before")


def _measured(group: str, products: Sequence[Sequence[str]], timed: bool) -> list[dict[str, Any]]:
    from dsbench.chips.files import Deployable
    from dsbench.chips.measure import on_chips
    from dsbench.chips.names import chips
    from dsbench.network.cost import cost
    from dsbench.sweep.networks import file_names
    from dsbench.sweep.networks import networks as named_by

    named = [each for overrides in products for each in named_by(overrides)]
    with tempfile.TemporaryDirectory() as scratch:
        files = [Deployable(name, each.network) for name, each in zip(file_names(named), named, strict=True)]
        seconds = SECONDS["study" if group.startswith("study_") else "plain"]
        asked = [chip for chip in chips(CHIPS) if timed or not chip.timed]
        sections = on_chips(files, asked, Path(scratch), seconds, REPEATS, lambda said: print(f"  {said}"))
    out = []
    for each, section in zip(named, sections, strict=True):
        counted = cost(each.network, "32")
        costs = {one.name: getattr(counted, one.name) for one in LIGHTER}
        out.append(row(group, each.composed.overrides, each.name, costs, section))
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or make the page; what the input lacks is told in one line."""
    try:
        _main(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _main(arguments: Sequence[str] | None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of networks.csv, report.md and its pictures")
    parser.add_argument("--plan", action="store_true", help="list the groups with their overrides, and measure none")
    parser.add_argument("--groups", default="", help="some of them (default: all)")
    parser.add_argument("--again", action="store_true", help="measure groups that have rows, too, and replace these")
    parser.add_argument("--counted", action="store_true", help="ask only chips that are not timed")
    parser.add_argument("--page", action="store_true", help="make the page from what was measured")
    asked = parser.parse_args(arguments)
    everything = groups()
    chosen = list(filter(None, asked.groups.split(","))) or list(everything)
    for name in chosen:
        if name not in everything:
            raise InputError(f"unknown --groups {name!r}; --plan lists them")
    if asked.plan:
        print("\n".join(f"{name}: {' '.join(overrides)}" for name in chosen for overrides in everything[name]))
    elif asked.page:
        from chips_page import publish

        publish(asked.folder)
    else:
        print(machine.facts())
        measure(asked.folder, chosen, not asked.counted, asked.again)


if __name__ == "__main__":
    sys.exit(main())

"""The page of networks on chips: what stands between the marks of report.md is made from networks.csv, and pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from chips import KERNELS, MATCHED, MULTIPLIERS, PLACES, Network, Pair, group_name, networks, plain_pairs, study_pairs
from chips_claims import claims, span

from dsbench.errors import InputError
from dsbench.figures.chips import Column, picture
from dsbench.figures.style import rendered
from dsbench.files import write_atomically
from dsbench.numerals import listed, mean_percent, quantity, signed_points, times
from dsbench.verdict.chips import ChipMeasure, where, winner

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = (8, 16, 32)
SHOWN = 16  # the width of the table in which kernels and multipliers vary
NOUNS = {"dwsep": "the separable network", "hybrid": "the hybrid"}  # against cnn
MATCHES = {"width": "equal width", "params": "equal parameters", "macs": "equal MACs", "acts": "equal activations"}
BRIEF = {"width": "width", "params": "params", "macs": "MACs", "acts": "acts"}
CPU = [place for place in PLACES if place.startswith(("litert", "onnx"))]
INT8 = [place for place in CPU if "int8" in place]
COUNTED_FIRST = sorted(PLACES, key=CPU.__contains__)
TIMED = [place for place in PLACES if place != "tflm/int8"]
_HEADS = [
    "params",
    "kMACs",
    "arena, B",
    "flash, B",
    *(f"{PLACES[place]}, {'us' if place in CPU else 'kcycles'}" for place in TIMED),
]
COLUMN = 0.6  # inches of the pictures
_CAPTION = (
    "A row a chip; a column {model} against cnn, matched by width, parameters, MACs or activations to a cnn of that "
    "width (plain on MNIST, kernel 3, multiplier 1). A number is {model}'s time, estimated cycles or arena as "
    "so many times cnn's. The colour is that of the family that is ahead, the stronger the further; without colour "
    "neither is, or one cannot tell. Times are of one CPU, cycles are Vela's estimate: no such processor ran."
)
_MARK = r"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"


def publish(folder: Path) -> None:
    """Write the page's tables and pictures anew. Raises InputError."""
    page = folder / "report.md"
    for path in (folder / "networks.csv", page):
        if not path.is_file():
            raise InputError(f"no {path}; docs/results/chips has both, networks.csv is what measuring writes")
    found = Found(networks(folder / "networks.csv"), sorted(folder.parent.glob("*/runs.csv")))
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    for model in NOUNS:
        write_atomically(figures / f"where_{model}.svg", rendered(found.picture(model), "svg"))
    write_atomically(page, filled(page.read_text(encoding="utf-8"), found.parts()))


def filled(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with what stands between each pair of marks made anew; raises InputError where marks are missing."""
    for name, part in parts.items():
        mark = re.compile(_MARK.format(name=name), re.DOTALL)
        if len(mark.findall(text)) != 1:
            raise InputError(f"the page has no place for {name}: <!-- {name} --> and <!-- end of {name} -->")
        content = part()
        text = mark.sub(lambda match, content=content: f"{match[1]}\n{content}\n\n{match[2]}", text)
    return text


@dataclass(frozen=True)
class Found:
    """What was measured, and the tables of `runs` of published sweeps."""

    networks: Sequence[Network]
    runs: Sequence[Path]

    @cached_property
    def plain(self) -> dict[tuple[str, str, int], Pair]:
        """See plain_pairs."""
        return plain_pairs(self.networks)

    @cached_property
    def studies(self) -> dict[str, Pair]:
        """See study_pairs."""
        return study_pairs(self.networks)

    def parts(self) -> dict[str, Callable[[], str]]:
        """What the page has, by its mark."""
        return {
            "pictures": self.pictures,
            "winners": self.winners,
            "figures": self.figures,
            "kernels": self.kernels,
            "studies": self.of_studies,
            "ratios": self.study_ratios,
            "claims": self.claims,
            "int8": self.int8,
            "versions": self.versions,
        }

    def columns(self, model: str) -> dict[tuple[str, int], Pair]:
        """What the picture compares: kernel 3 and multiplier 1, by what is matched, and the width."""
        keys = [(by, width) for by in MATCHED for width in WIDTHS]
        found = {(by, width): self.plain.get((group_name(by, 3, 1), model, width)) for by, width in keys}
        return {key: pair for key, pair in found.items() if pair is not None}

    def picture(self, model: str) -> Figure:
        """Where `model` wins against the conventional network."""
        pairs = self.columns(model)
        columns = [
            Column(f"{MATCHES[by]}, cnn of width {width}", f"{BRIEF[by]}\n{width}", ("cnn", model))
            for by, width in pairs
        ]
        found = where([((), pair.measures) for pair in pairs.values()])
        assert found is not None, "every network has been asked of chips"
        return picture(found, columns, f"Where {NOUNS[model]} wins", _CAPTION.format(model=model), COLUMN)

    def pictures(self) -> str:
        """Both; what is to be seen in them, the winners tell."""
        words = "wins against the conventional network on each chip, told in words below"
        return "\n\n".join(f"![Where {noun} {words}](figures/where_{model}.svg)" for model, noun in NOUNS.items())

    def winners(self) -> str:
        """An item for each family and match, on which chips it is ahead at which width."""
        return "\n".join(
            f"- **{NOUNS[model].capitalize()} at {MATCHES[by]}** {self._winner(model, by)}."
            for model in NOUNS
            for by in MATCHED
            if any(match == by for match, _ in self.columns(model))
        )

    def _winner(self, model: str, by: str) -> str:
        """In how many fields it is ahead, behind and neither, with the range of ratios and on which chips."""
        pairs = {width: pair for (match, width), pair in self.columns(model).items() if match == by}
        fields = [
            (winner(measure), place, width, measure.ratio)
            for width, pair in pairs.items()
            for place, measure in pair.judged.items()
            if measure.ratio is not None
        ]
        clauses = []
        for side, verb in ((1, "ahead"), (-1, "behind"), (0, "neither")):
            own = [field for field in fields if field[0] == side]
            if own:
                ratios = f"x {span([ratio for *_, ratio in own])}"
                widths = {place: [width for _, of, width, _ in own if of == place] for _, place, *_ in own}
                chips = f": {_chips(widths, len(pairs))}" if len(own) < len(fields) else ""
                count = f"all {len(own)} fields" if len(own) == len(fields) else str(len(own))
                of_all = "" if clauses or len(own) == len(fields) else f" of {len(fields)} fields"
                clauses.append(f"{verb} in {count}{of_all} ({ratios}{chips})")
        return f"is {listed(clauses)}"

    def figures(self) -> str:
        """A row for each network of `plain` with kernel 3 and multiplier 1."""
        shown = []
        for by in MATCHED:
            for each in self.networks:
                if each.group == group_name(by, 3, 1) and (by == "width" or each.names["model"] != "cnn"):
                    names = each.names
                    fine = f" (fine {names['fine_width']})" if names["fine_width"] else ""
                    match = "" if by == "width" else f"{BRIEF[by]} of cnn {each.width}"
                    shown.append([f"{names['model']} {names['width']}{fine}", match, *_figures(each)])
        return _table(["network, width", "as many", *_HEADS], shown, right=len(_HEADS))

    def kernels(self) -> str:
        """A row for each match, kernel and multiplier, of the separable network matched to the cnn of SHOWN."""
        shown = []
        for by, kernel, multiplier in product(MATCHED, KERNELS, MULTIPLIERS):
            pair = self.plain.get((group_name(by, kernel, multiplier), "dwsep", SHOWN))
            if pair is not None:
                ratios = [_marked(pair.judged.get(place)) for place in COUNTED_FIRST]
                shown.append([BRIEF[by], str(kernel), str(multiplier), pair.candidate.names["width"], *ratios])
        heads = ["as many", "kernel", "multiplier", "width", *(PLACES[place] for place in COUNTED_FIRST)]
        return _table(heads, shown, right=len(heads) - 1)

    def of_studies(self) -> str:
        """A row for each network of a study."""
        shown = [[each.experiment, *_figures(each)] for each in self.networks if each.experiment]
        return _table(["network", *_HEADS], shown, right=len(_HEADS))

    def study_ratios(self) -> str:
        """A row for each network of a study against its conventional one."""
        shown = []
        for name, pair in self.studies.items():
            counted = {f"{one.chip}/{one.figure}": one for one in pair.measures}
            costs = [times(pair.candidate.costs[cost] / pair.reference.costs[cost]) for cost in ("params", "macs")]
            memory = [_marked(counted.get(key)) for key in ("tflm/arena_bytes", "tflm/flash_bytes")]
            ratios = [_marked(pair.judged.get(place)) for place in TIMED]
            shown.append([name, *costs, *memory, *ratios])
        heads = ["against its cnn", "params", "MACs", "arena", "flash", *(PLACES[place] for place in TIMED)]
        return _table(heads, shown, right=len(heads) - 1)

    def claims(self) -> str:
        """A row for each claim."""
        decided = claims(self.plain, self.studies)
        shown = [[one.claim, one.study, f"**{one.answer}**", one.measured] for one in decided]
        return _table(["claim", "of", "answer", "ratios to the conventional network"], shown, right=0)

    def int8(self) -> str:
        """A row for each trained cell of published sweeps of which the accuracy in int8 is known."""
        from dsbench.results.cells import cells_table
        from dsbench.results.query import sweep_folder
        from dsbench.verdict.cells import cells

        shown = []
        for path in self.runs:
            runs = sweep_folder(path.parent, str(path)).read()[0]
            for cell in cells(runs, cells_table(runs)):
                changes = [
                    [run.int8[place] - run.test_acc for run in cell.done if place in run.int8 and run.test_acc]
                    for place in INT8
                ]
                if any(changes):
                    accuracy = mean_percent(cell.accuracy.mean, cell.accuracy.high, len(cell.done))
                    shown.append([path.parent.name, cell.label, accuracy, *map(_change, changes)])
        if not shown:
            return "No table of runs that is published here has accuracies in int8 yet."
        return _table(["sweep", "network", "test accuracy", *map(PLACES.__getitem__, INT8)], shown, right=len(INT8))

    def versions(self) -> str:
        """Chips with their options and versions, and the days."""
        chips: dict[str, tuple[str, str, str]] = {}
        days: set[str] = set()
        for each in self.networks:
            for chip, section in each.chips.items():
                versions = ", ".join(" ".join(package) for package in section["versions"].items())
                chips.setdefault(chip, (section["title"], versions, section.get("measured_on", "counted")))
            days |= {repeat.day for times in each.said.times for key in times.times.values() for repeat in key}
        rows = [list(said) for said in chips.values()]
        count = f"{len(self.networks)} networks in {len({each.group for each in self.networks})} groups"
        table = _table(["chip (options)", "versions", "timed on"], rows, right=0)
        return f"{table}\n\n{count}{f', timed on {listed(sorted(days))}' if days else ''}."


def _figures(each: Network) -> list[str]:
    """What stands below _HEADS."""
    said = each.said.figures
    memory = [said.get("tflm/int8", {}).get(name) for name in ("arena_bytes", "flash_bytes")]
    out = [f"{each.costs['params']:,}", quantity(each.costs["macs"] / 1000), *map(quantity, memory)]
    for place in TIMED:
        figures = said.get(place, {})
        milliseconds, cycles = figures.get("latency_ms"), figures.get("cycles")
        out.append(quantity(milliseconds * 1000 if milliseconds else cycles / 1000 if cycles else None) or "-")
    return out


def _change(changes: Sequence[float]) -> str:
    """What int8 changes accuracy by, in points: the mean, and the least and the greatest of a seed."""
    if not changes:
        return "-"
    mean, least, most = (signed_points(value) for value in (fmean(changes), min(changes), max(changes)))
    return f"{mean} ({least} to {most})"


def _marked(measure: ChipMeasure | None) -> str:
    """A ratio, in bold where the candidate is ahead, in brackets where neither is or one cannot tell."""
    if measure is None or measure.ratio is None:
        return "-"
    text = times(measure.ratio)
    return {1: f"**{text}**", -1: text, 0: f"({text})"}[winner(measure)]


def _chips(widths: Mapping[str, Sequence[int]], every: int) -> str:
    """Chips, those that are so at every width first, then those that are at some, by these."""
    by_widths: dict[tuple[int, ...], list[str]] = {}
    for place, own in sorted(widths.items(), key=lambda entry: -len(entry[1])):
        by_widths.setdefault(tuple(own), []).append(PLACES[place])
    return "; ".join(
        f"{'' if len(own) == every else f'at {listed([*map(str, own)])} '}{listed(places)}"
        for own, places in by_widths.items()
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: int) -> str:
    """A table in Markdown, whose last columns, `right` of them, are numbers."""
    ruled = ["---"] * (len(heads) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ruled, *rows])

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

from chips import KERNELS, MATCHED, MULTIPLIERS, OF_8, Network, group_name, networks
from chips_claims import claims, span
from chips_pairs import COUNTED, CYCLES, PLACES, TIMES, Pair, Place, plain_pairs, study_pairs

from dsbench.errors import InputError
from dsbench.figures.chips import Column, picture
from dsbench.figures.style import rendered
from dsbench.files import write_atomically
from dsbench.numerals import listed, mean_percent, quantity, signed_points, times
from dsbench.verdict.chips import ChipMeasure, Where, winner
from dsbench.verdict.rule import Answer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = (8, 16, 32)
SHOWN = 16  # the width of the table in which kernels and multipliers vary
NOUNS = {"dwsep": "the separable network", "hybrid": "the hybrid"}  # against cnn
MATCHES = {"width": "equal width", "params": "equal parameters", "macs": "equal MACs", "acts": "equal activations"}
OF_8_WORDS = ", in multiples of 8,"
BRIEF = {"width": "width", "params": "params", "macs": "MACs", "acts": "acts"}
BUDGETS = [by for by in MATCHED if by != "width"]
SHOWN_MATCHES = [(by, by in OF_8) for by in MATCHED]  # of the pictures, with whether it is in multiples of 8
ALL_MATCHES = [*((by, False) for by in MATCHED), *((by, True) for by in OF_8)]
FIGURES = (*TIMES, *CYCLES)
INT8 = [place for place in TIMES if "int8" in place.chip]
_HEADS = [
    "params",
    "kMACs",
    "arena, B",
    "of it activations",
    "flash, B",
    *(f"{place.title}, {'us' if place.on_cpu else 'kcycles'}" for place in FIGURES),
]
COLUMN = 0.6  # inches of the pictures
_CAPTION = (
    "A row a chip; a column {model} against cnn, matched by width, parameters, MACs or activations to a cnn of that "
    "width (plain on MNIST, kernel 3, multiplier 1, block mobilenet); by parameters and MACs in multiples of 8 "
    "channels. A number is {model}'s as so many times cnn's. The colour is that of the family that is ahead, the "
    "stronger the further; without colour neither is, or one cannot tell. Times are of one CPU, cycles are Vela's "
    "estimate: no such processor ran."
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
            "use": self.use,
            "pictures": self.pictures,
            "winners": self.winners,
            "figures": self.figures,
            "odd": self.odd,
            "kernels": self.kernels,
            "studies": self.of_studies,
            "ratios": self.study_ratios,
            "claims": self.claims,
            "int8": self.int8,
            "versions": self.versions,
        }

    def columns(self, model: str) -> dict[tuple[str, int], Pair]:
        """What the picture compares: kernel 3 and multiplier 1, by what is matched, and the width."""
        found = {
            (by, width): self.plain.get((group_name(by, 3, 1, of_8), model, width))
            for by, of_8 in SHOWN_MATCHES
            for width in WIDTHS
        }
        return {key: pair for key, pair in found.items() if pair is not None}

    def where(self, model: str) -> Where:
        """The fields of the picture."""
        pairs = self.columns(model)
        places = [place for place in PLACES if any(place in pair.judged for pair in pairs.values())]
        measures = tuple(tuple(pair.judged.get(place) for pair in pairs.values()) for place in places)
        return Where(tuple((place.title, place.kind) for place in places), measures)

    def picture(self, model: str) -> Figure:
        """Where `model` wins against the conventional network."""
        columns = [
            Column(f"{MATCHES[by]}, cnn of width {width}", f"{BRIEF[by]}\n{width}", ("cnn", model))
            for by, width in self.columns(model)
        ]
        title, caption = f"Where {NOUNS[model]} wins", _CAPTION.format(model=model)
        return picture(self.where(model), columns, title, caption, COLUMN)

    def use(self) -> str:
        """A row for each chip: which of cnn and dwsep costs less there, at each equal width and at equal parameters."""
        columns = self.columns("dwsep")
        shown = []
        for place in PLACES:
            at_width = [_sides(place, {width: columns.get(("width", width))}) for width in WIDTHS]
            at_params = _sides(place, {width: columns.get(("params", width)) for width in WIDTHS})
            shown.append([place.title, place.kind, *at_width, at_params])
        heads = ["chip", "compares", *(f"equal width {width}" for width in WIDTHS), "equal parameters"]
        return _table(heads, shown, right=0)

    def pictures(self) -> str:
        """Both; what is to be seen in them, the winners tell."""
        words = "wins against the conventional network on each chip, told in words below"
        return "\n\n".join(f"![Where {noun} {words}](figures/where_{model}.svg)" for model, noun in NOUNS.items())

    def winners(self) -> str:
        """An item for each family and match, on which chips it is ahead at which width."""
        return "\n".join(
            f"- **{NOUNS[model].capitalize()} at {MATCHES[by]}**{OF_8_WORDS if of_8 else ''} {self._winner(model, by)}."
            for model in NOUNS
            for by, of_8 in SHOWN_MATCHES
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
        shown, furthest = [], []
        for by, of_8 in ALL_MATCHES:
            group = group_name(by, 3, 1, of_8)
            offs = [pair.off(by) for (of, *_), pair in self.plain.items() if of == group and by != "width"]
            if offs:
                match = f"{MATCHES[by]}{' in multiples of 8' if of_8 else ''}"
                furthest.append(f"{match} {100 * max(map(abs, offs)):.1f} %")
            for each in (each for each in self.networks if each.group == group):
                if by == "width":
                    shown.append([_wide(each), "", "", *_figures(each)])
                elif each.names["model"] != "cnn":
                    off = self.plain[group, each.names["model"], each.width].off(by)
                    match = f"{BRIEF[by]} of cnn {each.width}{', of 8' if of_8 else ''}"
                    shown.append([_wide(each), match, f"{100 * off:+.2f} %", *_figures(each)])
        table = _table(["network, width", "as many", "off by", *_HEADS], shown, right=len(_HEADS) + 1)
        return f"{table}\n\nOff by at the most: {', '.join(furthest)}." if furthest else table

    def odd(self) -> str:
        """A row for each match that is also made in multiples of 8: the ratios of the exact one, and of that."""
        shown = []
        for model, by, width in product(NOUNS, OF_8, WIDTHS):
            both = [self.plain.get((group_name(by, 3, 1, of_8), model, width)) for of_8 in (False, True)]
            exact, of_8 = both
            if exact is not None and of_8 is not None:
                channels = [_wide(pair.candidate) for pair in (exact, of_8)]
                ratios = [f"{_marked(exact.judged.get(at))} / {_marked(of_8.judged.get(at))}" for at in FIGURES]
                shown.append([f"{BRIEF[by]} of cnn {width}", *channels, f"{100 * of_8.off(by):+.1f} %", *ratios])
        heads = ["as many", "exact", "of 8", "off by", *(place.title for place in FIGURES)]
        return _table(heads, shown, right=len(FIGURES) + 1)

    def kernels(self) -> str:
        """A row for each match, kernel and multiplier, of the separable network matched to the cnn of SHOWN."""
        shown = []
        for (by, of_8), kernel, multiplier in product(ALL_MATCHES, KERNELS, MULTIPLIERS):
            pair = self.plain.get((group_name(by, kernel, multiplier, of_8), "dwsep", SHOWN))
            if pair is not None:
                ratios = [_marked(pair.judged.get(place)) for place in (*COUNTED, *TIMES)]
                match = f"{BRIEF[by]}{', of 8' if of_8 else ''}"
                shown.append([match, str(kernel), str(multiplier), pair.candidate.names["width"], *ratios])
        heads = ["as many", "kernel", "multiplier", "width", *(place.title for place in (*COUNTED, *TIMES))]
        return _table(heads, shown, right=len(heads) - 1)

    def of_studies(self) -> str:
        """A row for each network of a study."""
        shown = [[each.experiment, *_figures(each)] for each in self.networks if each.experiment]
        return _table(["network", *_HEADS], shown, right=len(_HEADS))

    def study_ratios(self) -> str:
        """A row for each network of a study against its conventional one."""
        shown = []
        for name, pair in self.studies.items():
            costs = [times(1 + pair.off(cost)) for cost in ("params", "macs")]
            shown.append([name, *costs, *(_marked(pair.judged.get(place)) for place in (*COUNTED, *TIMES))])
        heads = ["against its cnn", "params", "MACs", *(place.title for place in (*COUNTED, *TIMES))]
        return _table(heads, shown, right=len(heads) - 1)

    def claims(self) -> str:
        """A row for each claim."""
        decided = claims(self.plain, self.studies)
        shown = [
            [one.claim.text, one.study, one.claim.study, one.read, f"**{one.answer}**", one.measured] for one in decided
        ]
        heads = ["claim", "of", "the study has", "read as", "answer", "ratios to the conventional network"]
        return _table(heads, shown, right=0)

    def int8(self) -> str:
        """A row for each trained cell of published sweeps of which the accuracy in int8 is known."""
        from dsbench.results.cells import cells_table
        from dsbench.results.query import sweep_folder
        from dsbench.sweep.design import explores
        from dsbench.verdict.cells import cells

        shown = []
        for path in self.runs:
            sweep = sweep_folder(path.parent, str(path))
            if explores(sweep):  # it tells nothing of test images
                continue
            runs = sweep.read()[0]
            for cell in cells(runs, cells_table(runs)):
                changes = [
                    [run.int8[at.chip] - run.test_acc for run in cell.done if at.chip in run.int8 and run.test_acc]
                    for at in INT8
                ]
                if any(changes):
                    accuracy = mean_percent(cell.accuracy.mean, cell.accuracy.high, len(cell.done))
                    shown.append([path.parent.name, cell.label, accuracy, *map(_change, changes)])
        if not shown:
            return "No table of runs that is published here has accuracies in int8 yet."
        return _table(["sweep", "network", "test accuracy", *(place.title for place in INT8)], shown, right=len(INT8))

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
        settled = [
            figure["latency_ms"]["settled"]
            for each in self.networks
            for section in each.chips.values()
            for figure in section.values()
            if isinstance(figure, Mapping) and "latency_ms" in figure
        ]
        count = f"{len(self.networks)} networks in {len({each.group for each in self.networks})} groups"
        unsettled = f"{settled.count(False)} of {len(settled)} times have not settled"
        table = _table(["chip (options)", "versions", "timed on"], rows, right=0)
        return f"{table}\n\n{count}{f', timed on {listed(sorted(days))}; {unsettled}' if days else ''}."


def _wide(each: Network) -> str:
    """Its family and width, with the fine one where that is another."""
    names = each.names
    return f"{names['model']} {names['width']}{f' (fine {fine})' if (fine := names['fine_width']) else ''}"


def _figures(each: Network) -> list[str]:
    """What stands below _HEADS."""
    said = each.said.figures
    names = ("arena_bytes", "arena_head_bytes", "flash_bytes")
    memory = [said.get("tflm/int8", {}).get(name) for name in names]
    out = [f"{each.costs['params']:,}", quantity(each.costs["macs"] / 1000), *map(quantity, memory)]
    for place in FIGURES:
        chip, precision = place.chip.split("/")
        figure = each.chips.get(chip, {}).get(precision, {}).get(place.figure)
        if place.on_cpu and figure:
            out.append(f"{quantity(1000 * figure['median'])}{'' if figure['settled'] else '*'}")
        else:
            out.append(quantity(figure / 1000 if figure else None) or "-")
    return out


def _sides(place: Place, pairs: Mapping[int, Pair | None]) -> str:
    """Which family costs less at the widths of `pairs`, and the ratios."""
    by_side: dict[str, list[tuple[int, float]]] = {}
    for width, pair in pairs.items():
        measure = pair.judged.get(place) if pair else None
        if measure is not None and measure.ratio is not None:
            undecided = "undecided" if measure.answer is Answer.CANNOT_TELL else "either"
            side = {1: "**separable**", -1: "conventional"}.get(winner(measure), undecided)
            by_side.setdefault(side, []).append((width, measure.ratio))
    return (
        "; ".join(
            f"{f'at {listed([str(width) for width, _ in own])} ' if len(by_side) > 1 else ''}{side}, "
            f"{span([ratio for _, ratio in own])}"
            for side, own in by_side.items()
        )
        or "-"
    )


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


def _chips(widths: Mapping[Place, Sequence[int]], every: int) -> str:
    """Chips, those that are so at every width first, then those that are at some, by these."""
    by_widths: dict[tuple[int, ...], list[str]] = {}
    for place, own in sorted(widths.items(), key=lambda entry: -len(entry[1])):
        by_widths.setdefault(tuple(own), []).append(place.title)
    return "; ".join(
        f"{'' if len(own) == every else f'at {listed([*map(str, own)])} '}{listed(places)}"
        for own, places in by_widths.items()
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: int) -> str:
    """A table in Markdown, whose last columns, `right` of them, are numbers."""
    ruled = ["---"] * (len(heads) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ruled, *rows])

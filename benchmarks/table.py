"""The table: rates, ratios and targets of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from measure import CASES, Measurement
from rich.console import Console
from rich.table import Table

BUSY = 0.5  # load average above which a measurement is doubtful


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest of what it is the median of."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float], middle: float | None = None) -> Spread | None:
        """That of `values`, None where there are none; `middle` takes the median's place."""
        return cls(median(values) if middle is None else middle, min(values), max(values)) if values else None

    def show(self, form: str) -> str:
        """Both on two lines, numbers in the format `form`."""
        return f"{self.median:{form}}\n[dim]{self.least:{form}} - {self.greatest:{form}}[/dim]"


@dataclass(frozen=True)
class Summary:
    """The figures of one case: images per second of each way, ratios, and the share of the GEMM rate."""

    case: str
    rates: dict[str, Spread | None]
    workers: int | None
    over_plain: Spread | None
    over_lightning: Spread | None
    gemm_share: float | None


def summarize(case: str, measurements: Iterable[Measurement], workers: int | None, gemm: float | None) -> Summary:
    """The figures of `case`; `workers` is the number with which lightning is fastest, `gemm` in FLOP per second.

    A ratio is that of the medians; its spread is that of the ratios turn by turn.
    """
    good = [m for m in measurements if m.case == case and m.images_per_second and m.workers in (None, workers)]
    rates = {
        way: {m.turn: m.images_per_second or 0.0 for m in good if m.way == way}
        for way in ("dsbench", "plain", "lightning")
    }
    ours = rates["dsbench"]

    def over(way: str) -> Spread | None:
        other = rates[way]
        middle = median(ours.values()) / median(other.values()) if ours and other else None
        return Spread.of([ours[turn] / other[turn] for turn in ours if turn in other], middle)

    macs = next((m.macs for m in good if m.macs), None)
    flop = 3 * 2 * macs if macs else None  # an image, the backward pass counted as two forward ones
    share = flop * median(ours.values()) / gemm if flop and gemm else None
    spreads = {way: Spread.of(list(rate.values())) for way, rate in rates.items()}
    return Summary(case, spreads, workers, over("plain"), over("lightning"), share)


def show(console: Console, summaries: Sequence[Summary]) -> None:
    """Print the table and, below it, which targets are reached."""
    table = Table()
    table.add_column("images/s in training")
    for name in ("a dsbench", "b plain loop", "c Lightning way", "a/b", "a/c", "a of GEMM"):
        table.add_column(name, justify="right")
    for summary in summaries:
        rates = [rate.show(",.0f") if rate else "-" for rate in summary.rates.values()]
        ratios = [ratio.show(".2f") if ratio else "-" for ratio in (summary.over_plain, summary.over_lightning)]
        share = "-" if summary.gemm_share is None else f"{100 * summary.gemm_share:.1f} %"
        if summary.workers is not None and summary.rates["lightning"]:
            rates[-1] += f"\n[dim]{summary.workers} workers[/dim]"
        table.add_row(summary.case, *rates, *ratios, share)
    console.print(table)
    for summary in summaries:
        case = CASES[summary.case]
        for name, ratio, target in (
            ("a/b", summary.over_plain, case.over_plain),
            ("a/c", summary.over_lightning, case.over_lightning),
        ):
            if ratio and target:
                verdict = "[green]reached[/green]" if ratio.median >= target else "[red]not reached[/red]"
                console.print(f"{summary.case}: {name} {ratio.median:.2f}, target {target}: {verdict}")

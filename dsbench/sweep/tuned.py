"""Each network at its own recipe: what is tried, and the best of each by validation beside the shared recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

from dsbench.config.overrides import combinations, key, lists_values, literal, value
from dsbench.errors import InputError
from dsbench.numerals import counted, listed, percent
from dsbench.results.records import plain, tested_val_acc
from dsbench.run.identity import OUTSIDE
from dsbench.run.plan import plan
from dsbench.run.record import FINAL, Status
from dsbench.sweep.design import Cell, Choice, Chosen, Compose, Explored
from dsbench.tables import Table, names, numbers, texts
from dsbench.verdict.groups import SHARED, TUNED

FEWEST_SEEDS = 2  # that a choice is made over
_TUNABLE = ("optimizer", "schedule", "train", "data.augment", "arch.init")
_LENGTH = ("train.max_epochs",)  # a longer training is another budget, not another recipe


class Tuned:
    """`design=tuned`: every combination of `tune.axes` for each network, on as many seeds as `tune.runs` come to."""

    measures = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` are those of `tune`. Raises InputError for axes that are no lists of a recipe's values."""
        self.axes, self.runs = _leaves(options["axes"]), options["runs"]
        if not self.axes or self.runs is None:
            raise InputError("design=tuned needs what to try and in how many runs: tune.axes.KEY=[A,B] tune.runs=12")
        for name in self.axes:
            within = any(name == part or name.startswith(f"{part}.") for part in _TUNABLE)
            if not within or name in (*_LENGTH, *OUTSIDE):
                raise InputError(f"tune.axes.{name}: what is tuned is of {listed(_TUNABLE)}, and changes the result")

    @property
    def settings(self) -> list[tuple[str, ...]]:
        """Every combination of the axes, as overrides."""
        listed = [[f"{name}={literal(one)}" for one in values] for name, values in self.axes.items()]
        return list(product(*listed))

    def explore(self, axes: Sequence[str], seeds: int, compose: Compose) -> list[Cell]:
        """Every setting of every network that `axes` list. Raises InputError for runs that do not come out even.

        A setting that changes nothing in a network is none of its own there: the others have more seeds instead.
        """
        self._check(axes)
        out = []
        networks = list(map(tuple, combinations(axes)))
        for network, called in zip(networks, _short(networks), strict=True):
            differing = self._differing(network, compose)
            each, rest = divmod(self.runs, len(differing))
            if rest or each < FEWEST_SEEDS:
                fewest = FEWEST_SEEDS * len(differing)
                raise InputError(
                    f"tune.runs={self.runs} does not share out over {counted(len(differing), 'setting')} of "
                    f"{called}, {FEWEST_SEEDS} seeds or more of each: {fewest}, "
                    f"{fewest + len(differing)}, ... do, the same number for every network"
                )
            out += [Cell((*network, *setting), each) for setting in differing]
        return out

    def at_most(self, axes: Sequence[str], seeds: int, compose: Compose) -> str:
        """As many runs of the shared recipe as of each network's own."""
        cells = 2 * len(combinations(axes))
        return (
            f"then, on other seeds, each network at the best setting and at the shared recipe: at most "
            f"{counted(cells * seeds, 'run')} in {counted(cells, 'cell')}"
        )

    def choose(self, explored: Explored) -> Choice:
        """The setting of each network with the highest mean validation accuracy; of equal ones the first."""
        tried = [
            Tried.of(cell_id, overrides, len(self.axes), explored) for cell_id, overrides in explored.cells.items()
        ]
        networks = {one.network: [other for other in tried if other.network == one.network] for one in tried}
        called = dict(zip(networks, _short(list(networks)), strict=True))
        left = sum(one.left for one in tried)
        best = {} if left else {network: max(own, key=lambda one: one.accuracy) for network, own in networks.items()}
        table = _table(tried, called, list(best.values()))
        if left:
            missing = f"{counted(left, 'run')} {'has' if left == 1 else 'have'} no result: nothing is chosen yet."
            return Choice((missing,), (table,))
        said = [self._said(called[network], one, len(networks[network])) for network, one in best.items()]
        shared = [Chosen(network, SHARED) for network in networks]
        own = [Chosen((*network, *one.setting), TUNED) for network, one in best.items()]
        return Choice(tuple(said), (table,), (*shared, *own), tuple(self.axes))

    def _differing(self, network: Sequence[str], compose: Compose) -> list[tuple[str, ...]]:
        """The settings that make a difference in a network; of those that come to the same one the most usual."""
        shared, own = compose(network), {setting: compose([*network, *setting]) for setting in self.settings}

        def usual(setting: tuple[str, ...]) -> int:
            return sum(_value(shared.config, name) == _value(own[setting].config, name) for name in self.axes)

        alike: dict[str, list[tuple[str, ...]]] = {}
        for setting, composed in own.items():
            alike.setdefault(plan(composed).cell_id, []).append(setting)
        return [max(settings, key=usual) for settings in alike.values()]

    def _check(self, axes: Sequence[str]) -> None:
        """Raise InputError where the user's axes leave no one shared recipe."""
        for override in axes:
            name = key(override)
            if name in self.axes and (lists_values(override) or name in ("optimizer", "schedule")):
                raise InputError(f"{override}: tune.axes.{name} tries {name}, which has one value, or none, beside it")

    def _said(self, network: str, best: Tried, settings: int) -> str:
        """What was chosen for a network, over how much, and where a wider list might hold a better one."""
        accuracy = f"validation accuracy {percent(best.accuracy)} in the mean of {counted(best.n, 'seed')}"
        if settings == 1:
            return f"{network} has one setting, {best.words}: {accuracy}."
        sentence = f"{network} does best at {best.words}: {accuracy}, the best of {settings} settings."
        edges = [name for name, text in best.values.items() if _at_edge(text, self.axes[name])]
        if edges:
            sentence += (
                f" That is at the edge of what was tried of {listed(edges)}: a wider list may hold a better one."
            )
        return sentence


@dataclass(frozen=True)
class Tried:
    """A setting of a network: its mean validation accuracy over `n` seeds.

    Of these `failed` count as the answer of the largest class; `left` are runs without a result.
    """

    network: tuple[str, ...]
    setting: tuple[str, ...]
    n: int
    accuracy: float
    failed: int
    left: int

    @classmethod
    def of(cls, cell_id: str, overrides: tuple[str, ...], axes: int, explored: Explored) -> Tried:
        """What the runs of a cell came to, the last `axes` of whose overrides are the setting."""
        rows = plain(explored.runs[explored.runs["cell_id"] == cell_id])
        ended = [row for row in rows if row["status"] in FINAL]
        failed = [row for row in ended if row["status"] != Status.DONE]
        scores = [explored.largest_class[cell_id] if row in failed else tested_val_acc(row) for row in ended]
        known = [score for score in scores if score is not None]
        accuracy = sum(known) / len(known) if known else 0.0
        return cls(overrides[:-axes], overrides[-axes:], len(ended), accuracy, len(failed), len(rows) - len(ended))

    @property
    def values(self) -> dict[str, str]:
        """The value of each axis, as it was typed."""
        return {key(override): value(override) for override in self.setting}

    @property
    def words(self) -> str:
        """The setting as overrides."""
        return " ".join(self.setting)


def _table(tried: Sequence[Tried], called: Mapping[tuple[str, ...], str], best: Sequence[Tried]) -> Table:
    """A row a setting of each network."""
    settings = {name: [one.values[name] for one in tried] for name in (tried[0].values if tried else ())}
    columns = (
        *names({"network": [called[one.network] for one in tried]} | settings),
        numbers("n", [one.n for one in tried], str),
        numbers("validation accuracy", [one.accuracy if one.n else None for one in tried], percent),
        texts("failed", [str(one.failed or "") for one in tried]),
        texts("chosen", ["chosen" if one in best else "" for one in tried]),
    )
    note = (
        "validation accuracy: mean over n seeds; a run that failed to train counts as the answer of the largest class"
    )
    return Table("What was tried", columns, note)


def _short(networks: Sequence[tuple[str, ...]]) -> list[str]:
    """A short name for each network: those of its overrides in which they differ, models and experiments by value."""
    shared = set.intersection(*map(set, networks))
    naming = {override for override in shared if key(override) in ("model", "experiment")}
    out = []
    for network in networks:
        own = [
            override for override in network if override not in shared or (len(networks) == 1 and override in naming)
        ]
        words = [
            value(override) if key(override) in ("model", "experiment") else f"{key(override)} {value(override)}"
            for override in own
        ]
        out.append(", ".join(words) or "the network")
    return out


def _at_edge(text: str, values: Sequence[Any]) -> bool:
    """Whether a value is the least, above 0, or the most of three numbers or more."""
    numbers = [one for one in values if type(one) in (int, float)]
    ends = [one for one in (min(numbers), max(numbers)) if one] if len(numbers) == len(values) > 2 else []
    return text in map(literal, ends)


def _value(config: Any, name: str) -> Any:
    """The value of a key with dots, None where there is none: another optimizer has other keys."""
    return reduce(lambda part, key: getattr(part, key, None), name.split("."), config)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, list[Any]]:
    """The lists of `tree` by their keys with dots. Raises InputError for what is none, or empty."""
    out: dict[str, list[Any]] = {}
    for name, inner in tree.items():
        if isinstance(inner, Mapping):
            out |= _leaves(inner, f"{prefix}{name}.")
        elif not isinstance(inner, list) or not inner:
            raise InputError(f"tune.axes.{prefix}{name}={inner} is no list of values to try, such as [0.03,0.1,0.3]")
        elif len(set(map(literal, inner))) < len(inner):
            raise InputError(f"tune.axes.{prefix}{name}={literal(inner)} lists a value twice")
        else:
            out[f"{prefix}{name}"] = inner
    return out

"""A chip as a file of conf/chip describes it: the runtime, its options, and what that runtime can say of a network."""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dsbench.errors import InputError

if TYPE_CHECKING:
    from dsbench.measure.probes import Backend

PRECISIONS = ("fp32", "int8", "int8_per_tensor")  # the last: int8 with one scale a layer in place of one a channel


def counted_in(precisions: Collection[str]) -> str:
    """The one of a chip's `precisions` that is counted where one is: int8 where the chip computes in it."""
    return "int8" if "int8" in precisions else next(iter(precisions))


@dataclass(frozen=True, kw_only=True)
class Chip(ABC):
    """A chip named `name`, or a runtime of this CPU; the keys of its YAML file are the fields of its class.

    A network is measured in each of `precisions`.
    """

    runtime: ClassVar[str]
    packages: ClassVar[Mapping[str, str]]  # the module to import by the name of its distribution
    extra: ClassVar[str]  # of dsbench, that brings them
    format: ClassVar[str]  # of the files that it reads, one of dsbench.chips.files.ENDINGS
    known_precisions: ClassVar[tuple[str, ...]]
    timed: ClassVar[bool] = True  # whether what it takes on this machine says anything
    costs: ClassVar[tuple[str, ...]] = ("file_bytes",)  # of what is counted, what a budget may set

    name: str
    precisions: tuple[str, ...]

    def counted(self, file: Path, precision: str) -> dict[str, Any]:
        """What is counted of the network in `file`, the same each time, by the names of dsbench.quantities.

        Raises InputError where the runtime lacks a layer of it.
        """
        return {}

    def opened(self, file: Path) -> Backend:
        """The network in `file`, for what is timed and asked; of a chip that is `timed` alone."""
        raise NotImplementedError

    @property
    def deployed(self) -> str:
        """The precision that is counted where one is."""
        return counted_in(self.precisions)

    @property
    def title(self) -> str:
        """The name with every option that decides a figure."""
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "precisions")}
        words = [
            f"{name.replace('_', ' ')} {value}" if isinstance(value, int) else value
            for name, value in options.items()
            if value is not None
        ]
        return f"{self.name} ({', '.join(words)})" if words else self.name

    @classmethod
    def missing(cls) -> str | None:
        """The packages that are not installed and how to get them, in one line; None where all are there."""
        lacking = [name for name, module in cls.packages.items() if find_spec(module) is None]
        if not lacking:
            return None
        return f"no {', '.join(lacking)} here, which {cls.runtime} needs: pip install 'dsbench[{cls.extra}]'"

    @classmethod
    def versions(cls) -> dict[str, str]:
        """The version of each package."""
        return {name: version(name) for name in cls.packages}

    def check(self) -> None:
        """Raise InputError for a value that makes no sense."""
        known = ", ".join(self.known_precisions)
        if not self.precisions:
            raise InputError(f"chip/{self.name}: precisions is empty; choose of {known}")
        for precision in self.precisions:
            if precision not in self.known_precisions:
                raise InputError(f"chip/{self.name}: no precision {precision!r} in {self.runtime}; choose of {known}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < 1:
                raise InputError(f"chip/{self.name}: {field.name} {value} is not a positive integer")

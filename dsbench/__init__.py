"""dsbench: when is a depthwise-separable convolution lighter, faster and better than a conventional one?"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported when they are asked for
    from dsbench.api import (
        FailureError,
        InputError,
        build,
        compose,
        cost,
        load,
        results,
        runs,
        sweep,
        verdict,
    )

__version__ = "0.1.0"
__all__ = [
    "FailureError",
    "InputError",
    "build",
    "compose",
    "cost",
    "load",
    "results",
    "runs",
    "sweep",
    "verdict",
]


class _Callable(ModuleType):
    """A subpackage that a public function shares its name with: called, it is that function."""

    def __call__(self, *arguments: Any, **values: Any) -> Any:
        return self.__wrapped__(*arguments, **values)

    @property
    def __wrapped__(self) -> Any:  # whose signature and documentation help() shows
        return getattr(importlib.import_module("dsbench.api"), self.__name__.rpartition(".")[2])


class _Package(ModuleType):
    """This package: it makes subpackages callable when their import, whoever asks for it, binds them here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


if not TYPE_CHECKING:  # for which any name would be there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in ("results", "sweep", "verdict"):
            return importlib.import_module(f"{__name__}.{name}")
        return getattr(importlib.import_module("dsbench.api"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

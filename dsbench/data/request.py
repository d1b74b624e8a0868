"""What a source of images is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsbench.data.sets import DataSet

Report = Callable[[str, float | None], None]
"""Called with what is being done, in a few words, and the fraction done (0 to 1), or None where it is not known."""


@dataclass(frozen=True)
class Request:
    """One set wanted: read from below ``root``, or brought into the folder ``scratch``, which the caller removes."""

    dataset: DataSet
    root: Path
    scratch: Path
    report: Report


@dataclass(frozen=True, eq=False)
class Candidate:
    """Arrays as a source gave them, before anything about them is trusted.

    ``source`` names the file or package for the user, ``remedy`` what to do when it is wrong ("delete it").
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    remedy: str


class Unavailable(Exception):  # noqa: N818 - an answer, not an error: the next source is tried
    """This source cannot serve the set here: a few words that say why."""

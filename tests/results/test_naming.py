"""What cells are called in one line: no more than tells them apart."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic import run, table

from dsbench.results.cells import cells_table
from dsbench.results.naming import short_names

STUDY = "mnist_7800/"


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ([run()], ["cnn"]),
        ([run(), run(model="dwsep", block="keras")], ["cnn", "dwsep"]),
        ([run(width=4), run(width=8)], ["width 4", "width 8"]),
        (
            [run(model=m, width=w) for m, w in (("cnn", 4), ("cnn", 8), ("dwsep", 11), ("dwsep", 20))],
            ["cnn, width 4", "cnn, width 8", "dwsep, width 11", "dwsep, width 20"],
        ),
        ([run(model="dwsep", block="keras"), run(model="dwsep", block="linear")], ["keras", "linear"]),
        ([run(settings={"optimizer.lr": lr}) for lr in (0.1, 0.01)], ["optimizer.lr 0.1", "optimizer.lr 0.01"]),
        (
            [
                run(model=name[:3], study=f"{STUDY}{name} (modified: train.max_epochs)", width=width)
                for name, width in (("cnn", 16), ("dwsep_same_width", 16), ("dwsep_same_budget", 32))
            ],
            ["cnn", "dwsep_same_width", "dwsep_same_budget"],
        ),
        (
            [run(study=f"{STUDY}cnn"), run(study=f"{STUDY}cnn (modified: width)", width=4)],
            ["cnn", "cnn (modified: width)"],
        ),
        (
            [
                run(study=f"{STUDY}cnn (modified: train.max_epochs{more})", width=width)
                for more, width in (("", 16), (", optimizer.lr", 17))
            ],
            ["cnn", "cnn (modified: optimizer.lr)"],
        ),
        (
            [run(study=f"{STUDY}cnn"), run(model="dwsep", study=f"{STUDY}dwsep"), run(model="dwsep", width=4)],
            ["cnn, width 8", "dwsep, width 8", "dwsep, width 4"],
        ),
        (
            [
                run(study=f"{STUDY}cnn{changed}", settings={"optimizer.lr": lr, "train.batch_size": size})
                for size, changed in ((64, ""), (128, " (modified: train.batch_size)"))
                for lr in (0.1, 0.01)
            ],
            [
                "cnn, optimizer.lr 0.1",
                "cnn, optimizer.lr 0.01",
                "cnn (modified: train.batch_size), optimizer.lr 0.1",
                "cnn (modified: train.batch_size), optimizer.lr 0.01",
            ],
        ),
    ],
)
def test_cells_are_called_by_the_fewest_words_that_tell_them_apart(
    records: list[dict[str, Any]], names: list[str]
) -> None:
    assert short_names(cells_table(table(records))) == names

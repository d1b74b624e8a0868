"""Conditions and orders mean what they say."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from synthetic import run, table

from dsbench.errors import InputError
from dsbench.results.query import arranged, condition, selected

RECORDS = [
    run(model=model, width=width, fine_width=fine, seed=seed, kernel=kernel, test_acc=accuracy, macs=10**seed)
    for seed, (model, width, fine, kernel, accuracy) in enumerate(
        [
            ("cnn", 8, None, 3, 0.5),
            ("dwsep", 16, 20, 11, 0.9),
            ("hybrid", 9, None, [3, 5], None),
            ("dwsep", 100, 30, 5, 1e-3),
        ]
    )
]


def seeds(*conditions: str) -> list[int]:
    return selected(table(RECORDS), [condition(text) for text in conditions])["seed"].tolist()


def of(keep: Any) -> list[int]:
    return [record["seed"] for record in RECORDS if keep(record)]


@pytest.mark.parametrize(
    ("sign", "compare"),
    [
        ("=", operator.eq),
        ("==", operator.eq),
        ("!=", operator.ne),
        ("<", operator.lt),
        (">", operator.gt),
        ("<=", operator.le),
        (">=", operator.ge),
    ],
)
@pytest.mark.parametrize("value", ["9", "16", "9.0", "1e2"])
def test_numbers_are_compared_as_numbers(sign: str, compare: Any, value: str) -> None:
    assert seeds(f"width{sign}{value}") == of(lambda record: compare(record["width"], float(value)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("model=dwsep", [1, 3]),
        ("model=DWSEP", [1, 3]),
        ("model=dwsep,cnn", [0, 1, 3]),
        ("model!=dwsep,cnn", [2]),
        ("model=dwsep width<50", [1]),
        ("width=8,100", [0, 3]),
        ("fine_width=null", [0, 2]),
        ("fine_width=null,20", [0, 1, 2]),
        ("fine_width!=null", [1, 3]),
        ("fine_width!=20", [0, 2, 3]),
        ("fine_width<100", [1, 3]),
        ("test_acc>=0", [0, 1, 3]),
        ("test_acc=1e-3", [3]),
        ("kernel=[3,5]", [2]),
        ("kernel=3", [0]),
        ("optimizer.lr=0.1", [0, 1, 2, 3]),
        ("optimizer.nesterov=true", [0, 1, 2, 3]),
        ("optimizer.nesterov=false", []),
        ("device=a CPU", [0, 1, 2, 3]),
        ("started>2026", [0, 1, 2, 3]),
        ("started>2027", []),
    ],
)
def test_a_condition_leaves_the_rows_that_meet_it(line: str, expected: list[int]) -> None:
    parts = [line] if "CPU" in line else line.split()
    assert seeds(*parts) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("widht=8", "unknown column 'widht'; did you mean 'width'?"),
        ("qqq=8", "unknown column 'qqq'; there are run_id, cell_id, "),
        ("width>wide", "where: width>wide: 'wide' is not a number, and width is one"),
        ("width", "where: 'width' is no condition; write it as model=dwsep, width!=8 or macs<=1e6"),
        ("=8", "where: '=8' is no condition; "),
    ],
)
def test_a_condition_that_makes_no_sense_is_one_line(line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        seeds(line)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (None, [0, 1, 2, 3]),
        ("width", [0, 2, 1, 3]),
        ("-width", [3, 1, 2, 0]),
        ("test_acc", [3, 0, 1, 2]),
        ("-test_acc", [1, 0, 3, 2]),
        ("model", [0, 1, 3, 2]),
        ("-model", [2, 1, 3, 0]),
        ("fine_width", [1, 3, 0, 2]),
    ],
)
def test_rows_are_put_in_order_with_missing_values_last(key: str | None, order: list[int]) -> None:
    assert arranged(table(RECORDS), key)["seed"].tolist() == order


def test_an_order_by_no_column_is_one_line() -> None:
    with pytest.raises(InputError, match="unknown column 'mcas'; did you mean 'macs'"):
        arranged(table(RECORDS), "-mcas")


def test_numbers_in_texts_are_in_order_of_their_size() -> None:
    records = [run(study=f"series/depth_{depth}", seed=depth) for depth in (16, 8, 4)]
    assert arranged(table(records), "study")["seed"].tolist() == [4, 8, 16]
    assert arranged(table(records), "-study")["seed"].tolist() == [16, 8, 4]

"""One table names every quantity, and all that costs are counted in."""

from __future__ import annotations

from dsbench.network.cost import TOTALS
from dsbench.quantities import BUDGETS, COUNTED, QUANTITIES, amount


def test_the_costs_that_are_counted_have_names_in_the_order_of_files() -> None:
    assert tuple(quantity.name for quantity in COUNTED) == TOTALS


def test_a_column_of_cells_is_a_mean_where_the_runs_of_a_cell_differ() -> None:
    columns = {name: QUANTITIES[name].cells_column for name in ("macs", "train_seconds", "test_acc", "latency_ms")}
    assert columns == {
        "macs": "macs",
        "train_seconds": "train_seconds_mean",
        "test_acc": "test_acc_mean",
        "latency_ms": "latency_ms/batch_1/torch",
    }


def test_what_follows_a_number_is_what_a_budget_holds_equal() -> None:
    assert [quantity.amount for quantity in BUDGETS] == [
        "parameters",
        "MACs",
        "activations",
        "ms of latency",
        "s of training an epoch",
    ]


def test_what_a_chip_counts_is_an_amount_on_it() -> None:
    assert amount("arena_bytes", "tflm") == "B of arena on tflm"
    assert amount("cycles", "ethos_u55_128") == "cycles on ethos_u55_128"
    assert amount("params") == "parameters"


def test_counts_are_whole_or_in_three_digits_and_shares_are_in_percent() -> None:
    macs, accuracy, memory = (QUANTITIES[name] for name in ("macs", "test_acc", "peak_memory_bytes"))
    assert (macs.write(2_097_704), macs.write_brief(2_097_704), macs.write(None)) == ("2,097,704", "2.10M", "")
    assert (accuracy.write(0.5), memory.write(3 * 2**19), memory.write_brief(None)) == ("50.00 %", "1.5", "")

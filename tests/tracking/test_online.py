"""The saved view and the report in W&B: what they show are keys that runs have, and each is saved once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wandb_server import ENTITY, Server

from dsbench.cli.wandb import dashboard
from dsbench.errors import FailureError, InputError
from dsbench.numerals import percent
from dsbench.publish import online
from dsbench.publish.online import COLUMNS, COST_TITLES, CURVES, workspace
from dsbench.publish.page import page
from dsbench.run.mirror import card, summary
from dsbench.run.record import Record
from dsbench.tables import Table, names, numbers, texts


def spec(view: Any) -> Any:
    """What is saved of a view, as the server gets it."""
    return json.loads(view._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))


def panels(view: Any) -> dict[str, list[Any]]:
    sections = spec(view)["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def content() -> Any:
    """What a sweep's report holds."""
    table = Table("Cells", (*names({"cell": ["cnn|w2"]}), numbers("test accuracy", [0.9], percent)), "n = 3")
    answers = Table("width 2", (texts("lighter", ["yes"]),))
    return SimpleNamespace(
        name="s1",
        sentences=["dwsep is lighter.", "It is slower.", "Nothing tells which is better."],
        paragraphs=["The whole <story>."],
        cells=table,
        answers=[answers],
        claims=None,
        chips=None,
        why=["It waits for memory."],
        how=[("data", "mnist_5k")],
    )


def test_accuracy_stands_against_every_cost_and_curves_are_grouped_by_cell() -> None:
    sections = panels(workspace("me", "dsbench", None, None))
    scattered = [(panel["config"]["xAxis"], panel["config"]["yAxis"]) for panel in sections["Accuracy against cost"]]
    assert scattered == [(f"summary:{cost}", "summary:test_acc") for cost in COST_TITLES]
    for panel, metric in zip(sections["Learning curves"], CURVES, strict=True):
        config = panel["config"]
        assert (config["metrics"], config["xAxis"]) == ([metric], "epoch")
        assert "collapsed" in config["chartTitle"]
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("cell.value", "mean", "minmax")
    (coordinates,) = sections["All at once"]
    shown = [column["accessor"] for column in coordinates["config"]["columns"]]
    assert shown[:3] == ["config:model.value", "config:width.value", "config:kernel.value"]
    assert shown[-1] == "summary:test_acc"


def test_the_view_is_of_trained_runs_and_of_the_sweep_s_alone() -> None:
    def kept(run_ids: list[str] | None) -> Any:
        (runs,) = spec(workspace("me", "dsbench", "s1", run_ids))["section"]["runSets"]
        return [
            (condition["key"]["name"], condition["op"], condition["value"]) for condition in runs["filters"]["filters"]
        ]

    assert kept(None) == [("jobType", "=", "train")]
    assert kept(["aaa", "bbb"]) == [("jobType", "=", "train"), ("name", "IN", ["aaa", "bbb"])]


def test_every_column_and_axis_is_a_key_that_runs_have(
    finished: Path, planned: Callable[[str], Any], logged: Callable[..., None], inspected: Callable[..., Any]
) -> None:
    timing = {"median": 1.0, "iqr": 0.1, "settled": True}
    timed = {"latency_ms": {"batch_1": {"torch": timing}}, "train_step_ms": {"total": timing}}
    record = Record.of(json.loads((finished / "result.json").read_text()) | timed)
    facts, shown = card(planned("width=2 arch=mnist_7800_shallow").config, record).facts, summary(record)
    for column in COLUMNS:
        kind, _, name = column.partition(":")
        if kind == "summary":
            assert name in shown
        elif kind == "config":
            assert name.removesuffix(".value") in facts
    assert facts["cell"] == f"dwsep w6 {record.cell_id}"
    logged("aaa")
    history = [entry["history"]["item"] for entry in inspected(records=True) if entry["type"] == "history"]
    assert {*CURVES, "epoch"} <= history[0].keys()


def test_view_and_report_are_saved_once_and_then_replaced(server: Server, tmp_path: Path) -> None:
    memory = tmp_path / "wandb" / "online.json"  # nothing is there yet
    for run_ids in (["aaa"], ["aaa", "bbb"]):
        with online.saving():
            entity = online.default_entity()
            view = online.save_view(workspace(entity, "dsbench", "s1", run_ids), memory)
            report = online.save_report(page(entity, "dsbench", content(), run_ids), memory)
    assert (entity, len(server.views)) == (ENTITY, 2)
    assert view.startswith(f"{server.url}/{ENTITY}/dsbench?nw=")
    assert report.startswith(f"{server.url}/{ENTITY}/dsbench/reports/")
    saved = {view["type"]: view for view in server.views.values()}
    assert saved["project-view"]["displayName"] == "dsbench: s1"
    text = saved["runs"]["spec"]
    for sentence in (
        "dwsep is lighter.",
        "The whole <story>.",
        "It waits for memory.",
        "mnist_5k",
        "report.html",
    ):
        assert sentence in text
    assert text.count('"bbb"') == 3  # the runs of each grid of panels
    server.views.clear()
    with online.saving():
        online.save_view(workspace(entity, "dsbench", "s1", ["aaa"]), memory)  # anew: somebody has removed it
    assert len(server.views) == 1


def test_what_the_server_says_against_it_is_one_line(server: Server, tmp_path: Path) -> None:
    def refused(*_: Any) -> Any:
        raise ValueError("the project is locked")

    server._view = refused  # type: ignore[method-assign]
    with pytest.raises(FailureError, match=r"^W&B: .*the project is locked"), online.saving():
        online.save_view(workspace("me", "dsbench", None, None), tmp_path / "online.json")


def test_without_the_package_or_an_account_a_line_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, outputs: Path
) -> None:
    with pytest.raises(InputError, match="this needs a W&B account"):
        dashboard(None, outputs, online=True)
    monkeypatch.setattr(online, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs a package: pip install 'dsbench\[dashboards\]'"):
        dashboard(None, outputs, online=True)

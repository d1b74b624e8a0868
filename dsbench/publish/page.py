"""A sweep's report as a W&B Report, made without the network: the same content, with W&B's own panels as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsbench.publish.offline import summary_id
from dsbench.publish.online import COLUMNS, filters, sections_of_panels
from dsbench.report.page import fact, table

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as reports

    from dsbench.report.content import Report

_TITLE_LETTERS = 128  # W&B's limit


def page(entity: str, project: str, content: Report, run_ids: Sequence[str]) -> reports.Report:
    """The report of a sweep of the runs `run_ids`: verdict, cells, chips, claims, panels, pairs, how it was made."""
    import wandb_workspaces.reports.v2 as wr

    return wr.Report(
        entity=entity,
        project=project,
        title=f"dsbench: {content.name}"[:_TITLE_LETTERS],
        description=" ".join(content.sentences),
        blocks=[*_first(content), *_panels(entity, project, run_ids), *_pairs(content), *_measured(content)],
        width="fluid",
    )


def _first(content: Report) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.CalloutBlock(text=sentence) for sentence in content.sentences]
    for shown in filter(None, (content.cells, content.chips, content.claims)):
        blocks += [wr.H2(text=shown.title), wr.MarkdownBlock(text=table(shown))]
    return blocks


def _pairs(content: Report) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.P(text=paragraph) for paragraph in content.why]
    blocks.append(wr.H2(text="Pair by pair"))
    for shown in content.answers:
        blocks += [wr.H3(text=shown.title), wr.MarkdownBlock(text=table(shown))]
    return blocks + [wr.P(text=paragraph) for paragraph in content.paragraphs]


def _panels(entity: str, project: str, run_ids: Sequence[str]) -> list[Any]:
    """A grid each of the sections of the saved view, over the sweep's runs."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = []
    for title, panels in sections_of_panels().items():
        runs = wr.Runset(
            entity=entity,
            project=project,
            name="runs of the sweep",
            filters=filters(run_ids),
            pinned_columns=list(COLUMNS),
        )
        blocks += [wr.H2(text=title), wr.PanelGrid(runsets=[runs], panels=panels)]
    return blocks


def _measured(content: Report) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    facts = [fact(heading, text) for heading, text in content.how]
    where = f"The page with its figures, report.html, is an artifact of the run {summary_id(content.name)}."
    return [wr.H2(text="How it was measured"), wr.MarkdownBlock(text="\n".join(facts)), wr.P(text=where)]

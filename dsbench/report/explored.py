"""The page of the first of two stages: what was tried and chosen on validation, and nothing of the test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.figures.style import rendered, words
from dsbench.files import write_atomically
from dsbench.report.album import explored_album
from dsbench.report.content import Picture, how, links, runs
from dsbench.report.page import stamped, write_all, write_pictures
from dsbench.results.folder import SweepFolder
from dsbench.results.naming import short_names
from dsbench.results.records import plain
from dsbench.sweep.design import EXPLORES_WORDS, choice_of
from dsbench.tables import Table


@dataclass(frozen=True)
class ExploredPage:
    """The content of the page; `data` is all of it as plain data but for the pictures.

    `sentences` say what was chosen, by `tables`; `how` and `links` are as in dsbench.report.content.Report.
    """

    name: str
    title: str
    sentences: list[str]
    tables: list[Table]
    pictures: list[Picture]
    how: list[tuple[str, str]]
    runs: Table
    links: dict[str, str]
    data: dict[str, Any]


def explored(folder: SweepFolder) -> ExploredPage:
    """The content of the page of an exploring sweep, whatever of it has ended. Raises InputError for damaged files."""
    choice, metadata, (rows, cells) = choice_of(folder), folder.metadata(), folder.read()
    labels = dict(zip(rows["cell_id"].unique(), short_names(cells), strict=True))
    title = f"{folder.name} {EXPLORES_WORDS}"
    measured_how = how(folder.argument, metadata, rows)
    pictures = [Picture(name, rendered(figure, "svg"), words(figure)) for name, figure in explored_album(folder)]
    return ExploredPage(
        name=folder.name,
        title=title,
        sentences=list(choice.sentences),
        tables=list(choice.tables),
        pictures=pictures,
        how=measured_how,
        runs=runs(plain(rows), labels),
        links=links(folder, rows["run_id"]),
        data={
            "sweep": folder.name,
            "title": title,
            "sentences": list(choice.sentences),
            "tables": [table.plain() for table in choice.tables],
            "how": dict(measured_how),
            "asked": metadata,
            "runs": plain(rows),
            "pictures": [picture.name for picture in pictures],
            "choice": dict(choice.data),
        },
    )


def write_explored(page: ExploredPage, folder: Path, made_of: str | None = None) -> list[Path]:
    """Write report.html, report.md, report.json and a CSV for each list of the choice's data; raises OSError.

    As dsbench.report.page.write does.
    """
    write_pictures(page.pictures, folder)
    for name, rows in page.data["choice"].items():
        write_atomically(folder / f"{name}.csv", _csv(rows))
    return write_all("explored", "report", vars(page), stamped(page.data, made_of), folder)


def _csv(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")

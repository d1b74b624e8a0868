"""The page of a sweep, in its three forms."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_sweeps import Made, four_cells, make
from synthetic import run

from dsbench.figures.axes import rows
from dsbench.report import content
from dsbench.report.album import album
from dsbench.report.content import Report, how, report
from dsbench.report.page import write
from dsbench.report.sources import made_of, written_of
from dsbench.report.versus import versus, write_versus
from dsbench.results.records import plain, record
from dsbench.run.folder import RunFolder
from dsbench.verdict.cells import cells
from dsbench.verdict.verdict import verdict

Make = Callable[..., Made]
EMPTY = {"area", "br", "col", "hr", "img", "input", "link", "meta"}  # elements without an end


@pytest.fixture
def made(tmp_path: Path) -> Make:
    return partial(make, tmp_path / "outputs")


@dataclass(frozen=True)
class Written:
    """A sweep of two families at two widths in eight seeds, its page, and the files of that: HTML, Markdown, JSON."""

    sweep: Made
    page: Report
    html: Path
    markdown: Path
    data: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One for all tests that only look at it: its pictures take seconds to draw."""
    sweep = make(tmp_path_factory.mktemp("written") / "outputs", four_cells(seeds=8))
    page = report(sweep.folder)
    return Written(sweep, page, *write(page, sweep.folder.path))


class Page(HTMLParser):
    """What a page refers to, its texts, tables and pictures; fails where an element does not end or an id is twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.words: list[tuple[str, str]] = []  # with their classes
        self.seen: list[str] = []  # what pictures say to those who do not see them
        self.landmarks: list[str] = []
        self.feed(text)
        assert self.open == []
        assert [value for value, times in Counter(self.ids).items() if times > 1] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.addresses += [value for name, value in values.items() if name in ("src", "href", "xlink:href")]
        self.ids += [values["id"]] if "id" in values else []
        self.seen += [values["aria-label"]] if tag == "svg" else []
        self.landmarks += [tag] if tag in ("main", "nav", "header") else []
        self.tag, self.classes = tag, values.get("class", "")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if data.strip():
            self.words.append((data, self.classes))


def test_a_page_needs_nothing_but_itself(written: Written) -> None:
    """It links to what lies beside it: runs, and pictures as files."""
    text = written.html.read_text()
    page = Page(text)
    assert page.landmarks == ["header", "main", "nav"]
    shown = [address for address in page.addresses if not address.startswith(("#", "data:image/png;base64,"))]
    folder = written.sweep.folder.path
    assert shown
    assert all((folder / address).exists() for address in shown)
    assert {f"../../runs/{run_id}/" for run_id in written.sweep.runs["run_id"]} <= set(shown)
    assert text.count("url(") == text.count("url(#")
    assert "@import" not in text
    assert "<link" not in text


def test_what_a_picture_refers_to_is_in_it(written: Written) -> None:
    page = Page(written.html.read_text())
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)


def test_pictures_have_the_pages_colours_and_say_what_is_seen(written: Written) -> None:
    text = written.html.read_text()
    pictures = re.findall("<svg.*?</svg>", text, re.DOTALL)
    for picture in pictures:
        shades = "<image" in picture
        assert ("class=shades" in picture.partition(">")[0]) == shades
        assert shades != ("var(--ink)" in picture)
        assert shades or not re.search("#(0072b2|e69f00|222222|ffffff)", picture)
        assert "<style" not in picture
    seen = Page(text).seen
    assert len(seen) == len(pictures)
    for title in [picture.words.title for picture in written.page.pictures]:
        assert title not in seen
    assert any(re.search(r"dwsep against cnn at equal width 4.*worse, -2\.0+ points", words) for words in seen)
    for palette in re.findall(r"--blue: (#\w+)", text):
        assert palette in ("#0072b2", "#4a9fd8")  # light and dark


def test_an_answer_has_a_class_of_its_tone(written: Written) -> None:
    classes = dict(Page(written.html.read_text()).words)
    assert classes["worse"].split()[-1] == "bad"
    assert classes["no difference seen"].split()[-1] == "none"
    assert {tone for words in ("good", "bad", "open", "none") for tone in classes.values() if words in tone.split()}


def test_the_three_forms_say_the_same(written: Written) -> None:
    sweep, page, html, markdown = written.sweep, written.page, written.html, written.markdown
    shown, data = Page(html.read_text()), json.loads(written.data.read_text())
    text = markdown.read_text()
    assert page.title == data["title"] == "cnn and dwsep on mnist, plain"
    assert f"<h1>{page.title}</h1>" in html.read_text()
    assert text.startswith(f"# {page.title}\n")
    assert page.advice == data["advice"]
    assert page.advice in shown.texts
    assert text.splitlines()[2] == f"**{page.advice}**"
    for sentence in page.headline:
        assert sentence in shown.texts
        assert sentence in unescape(text)
    assert data["headline"] == page.headline
    assert [row["test_acc"] for row in data["runs"]] == sweep.runs["test_acc"].tolist()
    order = ["Cells", "Training", "Pair by pair", "How it was measured", "Runs"]
    assert re.findall("<h2>([A-Z].*)</h2>", html.read_text()) == order
    assert re.findall("^## (.*)", text, re.MULTILINE) == order
    for table in (page.cells, *page.answers, page.runs):
        for column in table.columns:
            assert f"<button>{column.heading}</button>" in html.read_text()
            assert column.heading in text
    drawn = re.findall(r"\]\(figures/(\w+)\.svg\)", text)
    assert drawn[:3] == ["overview", "tradeoff", "seeds"]
    assert set(drawn) <= set(data["pictures"])
    for picture in data["pictures"]:
        ET.parse(sweep.folder.path / "figures" / f"{picture}.svg")
        assert f'href="figures/{picture}.svg"' in html.read_text()
    assert not list((sweep.folder.path / "figures").glob("*narrow*"))


def test_answers_stand_in_cards_those_of_the_headline_first(made: Make) -> None:
    families = {"cnn": None, "hybrid": "keras", "dwsep": "keras"}
    sweep = made([run(model=model, block=block, seed=seed) for model, block in families.items() for seed in range(3)])
    page = report(sweep.folder)
    html, *_ = write(page, sweep.folder.path)
    cards = re.findall("<article>(.*?)</article>", html.read_text(), re.DOTALL)
    assert len(cards) == 3
    assert "dwsep against cnn" in cards[0]
    for card in cards:
        assert re.findall("<dt>(.*?)</dt>", card) == ["lighter?", "faster?", "better?", "reliable?"]
    assert page.others == (
        "Of the other pairs in test accuracy: hybrid against cnn as good in 1; dwsep against hybrid as good in 1."
    )
    assert page.others in unescape(html.read_text())


@pytest.mark.thorough
def test_of_many_comparisons_three_are_answered_at_once(made: Make) -> None:
    cells = [(model, width) for width in range(1, 6) for model in ("cnn", "dwsep")]
    sweep = made([run(model=model, width=width, params=1000 * width) for model, width in cells])
    page = report(sweep.folder)
    html, *_ = write(page, sweep.folder.path)
    at_once, _, folded = html.read_text().partition("<details>")
    assert (at_once.count("<article>"), folded.count("<article>")) == (3, 2)
    assert page.others == "Of the other pairs in test accuracy: dwsep against cnn too few runs in 2."


def test_ratios_that_are_equal_or_matched_are_grey_and_others_bold(made: Make) -> None:
    sweep = made([run(macs=1000), run(model="dwsep", macs=3000)])
    html, markdown, _ = write(report(sweep.folder), sweep.folder.path)
    assert re.search('<td class="ratio right equal"[^>]*>equal</td>', html.read_text())
    assert re.search('<td class="ratio right"[^>]*>x 3</td>', html.read_text())
    assert "| matched | **x 3** | equal |" in markdown.read_text()


def test_tables_are_sorted_by_numbers_within_names(written: Written) -> None:
    """A browser orders width 8 before width 16."""
    assert "localeCompare(y, undefined, { numeric: true })" in written.html.read_text()


def test_images_on_which_networks_differ_are_listed_where_runs_kept_them(made: Make) -> None:
    import numpy as np

    sweep = made([run(model=model, seed=seed) for model in ("cnn", "dwsep") for seed in range(2)])  # 75 % each
    for number, run_id in enumerate(sweep.runs["run_id"]):
        right = np.array([1, 1, 1, 0] if number < 2 else [0, 1, 1, 1], dtype=np.uint8)
        (sweep.outputs / "runs" / run_id / "test_correct.bits").write_bytes(b"4\n" + np.packbits(right).tobytes())
    page = report(sweep.folder)
    assert page.images.texts["test image"] == ["0", "3"]
    html, _, data = write(page, sweep.folder.path)
    assert f"<summary>{page.images.title}</summary>" in html.read_text()
    assert [row["test image"] for row in json.loads(data.read_text())["images"]] == ["0", "3"]


def test_a_quantity_has_one_name_on_a_page(made: Make) -> None:
    budget = {"kind": "params", "scope": "total", "match": "cnn", "target": 7800, "actual": 7800, "residual": 0.0}
    families = (("cnn", None), ("dwsep", "keras"))
    sweep = made([run(model=model, block=block, params=7800, requested=budget) for model, block in families])
    _, markdown, data = write(report(sweep.folder), sweep.folder.path)
    text = markdown.read_text()
    assert "At 7,800 parameters" in text
    assert "- **budget**: 7,800 parameters (off by 0 % at the most)" in text
    assert "| parameters |" in text
    assert not re.search(r"\d params\b", text + json.loads(data.read_text())["how"]["budget"])


def test_a_page_tells_what_networks_were_to_cost_on_a_chip(made: Make) -> None:
    budget = {"kind": "arena_bytes", "scope": "total", "match": None, "chip": "tflm", "target": 65_536}
    actual = (("cnn", None, 65_296), ("dwsep", "keras", 64_448))
    sweep = made(
        [
            run(model=m, block=b, requested=budget | {"actual": arena, "residual": arena / 65_536 - 1})
            for m, b, arena in actual
        ]
    )
    page = report(sweep.folder)
    _, markdown, _ = write(page, sweep.folder.path)
    text = markdown.read_text()
    assert "At equal arena on tflm (at most 65,536 B)" in text
    assert "- **budget**: at most 65,536 B of arena on tflm (off by 1.7 % at the most)" in text


def test_text_of_others_is_text(made: Make) -> None:
    nasty = "<script>alert(1)</script> | *_x_* [a](b)"  # all that Markdown could take it for: test_markdown.py
    records = [run("failed", seed=0, error=nasty), run(seed=1, data="mnist")]
    sweep = made(records)
    html, markdown, _ = write(report(sweep.folder), sweep.folder.path)
    assert html.read_text().count("<script>") == 1  # the page's own
    assert nasty in "".join(Page(html.read_text()).texts)
    assert "<script>" not in markdown.read_text()
    assert r"\| \*\_x\_\* \[a\](b)" in markdown.read_text()


@pytest.mark.parametrize(
    "records",
    [
        [run("missing", seed=0), run("missing", seed=1, model="dwsep", block="keras")],
        [run(seed=0), run("running", seed=1)],
        [run(seed=0), run(seed=0, model="dwsep", block="keras")],
        [run(model="dwsep", block="keras", seed=seed) for seed in range(2)],
        [run("collapsed", seed=0), run("diverged", seed=1), run("failed", seed=2, error="why")],
    ],
    ids=["nothing has started", "half of it", "one seed", "one family", "nothing is done"],
)
def test_a_page_can_be_made_of_whatever_there_is(made: Make, records: list[dict[str, Any]]) -> None:
    sweep = made(records)
    html, *_ = write(report(sweep.folder), sweep.folder.path)
    page = Page(html.read_text())
    unfinished = [record for record in records if record["status"] in ("missing", "running", "failed")]
    assert any("no result" in text or "None of" in text for text in page.texts) == bool(unfinished)


def test_runs_in_no_mean_are_called_the_same_in_tables_and_pictures(made: Make) -> None:
    statuses = ("done", "collapsed", "killed", "interrupted", "missing")
    sweep = made([run(status, seed=seed) for seed, status in enumerate(statuses)])
    (cell,) = rows(sweep.cells)
    page = content.cells(cells(sweep.runs, sweep.cells), plain(sweep.cells), {})
    (excluded,) = page.texts["not in the mean"]
    assert excluded == cell.excluded == "1 collapsed, 1 killed, 2 unfinished"


def test_a_page_of_many_cells_says_which_pictures_it_leaves_out(made: Make) -> None:
    sweep = made([run(width=width, params=1000 * width) for width in range(1, 42)])
    page = report(sweep.folder)
    assert [picture.name for picture in page.pictures] == ["overview", "overview_narrow", "tradeoff"]
    assert (
        page.paragraphs[-1]
        == f"Pictures that show each of the 41 cells apart are drawn by: dsbench figures {sweep.folder.path}"
    )


@pytest.mark.thorough
def test_a_page_of_many_pairs_leaves_out_their_pictures(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsbench.report.album.MOST_ROWS", 4)
    families = {"cnn": None, "hybrid": "keras", "dwsep": "keras"}
    records = [run(model=model, block=block) for model, block in families.items()]
    sweep = made([*records, run(model="dwsep", block="linear")])
    page = report(sweep.folder)  # 4 cells at one budget: 6 pairs, 5 of them of two families
    drawn = {picture.name for picture in page.pictures}
    assert {"seeds", "confusion"} <= drawn
    assert "confusion_differences" not in drawn
    assert page.paragraphs[-1].startswith("Pictures that show each of the 5 pairs of families apart are drawn by: ")
    everything = album(sweep.runs, sweep.cells, verdict(sweep.outputs, sweep.runs), [], sweep.outputs)
    assert {"differences", "confusion_differences"} <= {name for name, _ in everything}


@pytest.mark.thorough
def test_accuracies_of_all_pairs_are_drawn_where_the_first_picture_has_no_room(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"cnn": None, "hybrid": "keras", "dwsep": "keras"}
    sweep = made([run(model=model, block=block, seed=seed) for model, block in models.items() for seed in range(3)])

    def drawn() -> list[str]:
        return [picture.name for picture in report(sweep.folder).pictures]

    assert "differences" not in drawn()
    monkeypatch.setattr("dsbench.report.album.MOST_PANELS", 2)
    assert "differences" in drawn()


def test_one_cell_has_no_picture_of_costs_and_one_epoch_no_curve(tmp_path: Path) -> None:
    sweep = make(tmp_path / "outputs", [run(seed=seed) for seed in range(2)], epochs=lambda _: 1)
    assert [picture.name for picture in report(sweep.folder).pictures] == ["seeds", "confusion"]


def test_how_to_repeat_it_can_be_pasted_into_a_shell(written: Written) -> None:
    sweep = written.sweep
    arguments = ["-m", "experiment=glob(mnist_7800/*)", "kernel=[3,5]", "name=a b's $HOME", "seeds=8"]
    facts = dict(how("made", sweep.folder.metadata() | {"arguments": arguments}, sweep.runs))
    command = f"dsbench() {{ printf '%s\\n' \"$@\"; }}; {facts['to repeat it']}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["sweep", *arguments]
    assert facts["seeds"] == "0 to 7"
    assert "<dt>to repeat it</dt><dd><code>dsbench sweep made</code></dd>" in written.html.read_text()


@pytest.mark.parametrize(("fused", "said"), [((8, 8), "8"), ((1, 4), "1 and 4"), ((1, 1), None), ((None, 1), None)])
def test_how_many_runs_were_one_program_is_said_where_any_were(
    fused: tuple[int | None, ...], said: str | None, tmp_path: Path
) -> None:
    sweep = make(tmp_path, [run(seed=seed, fused=count, n_jobs=1) for seed, count in enumerate(fused)])
    assert dict(report(sweep.folder).how).get("trained in groups of") == said
    alone = make(tmp_path / "alone", [run(seed=seed, n_jobs=1) for seed in range(2)])
    (ratio,) = versus(alone.folder, sweep.folder).cells.texts["time ratio"]
    assert ratio == ("(x 1)" if said else "x 1")


def test_a_study_that_was_changed_is_called_so_on_the_page(made: Make) -> None:
    """In the names of cells it is left out, being the same in all."""
    modified = " (modified: train.max_epochs)"
    sweep = made([run(model=model, study=f"mnist_7800/{model}{modified}") for model in ("cnn", "dwsep")])
    shown = report(sweep.folder)
    assert shown.cells.texts["cell"] == ["cnn", "dwsep"]
    assert dict(shown.how)["study"] == f"mnist_7800/cnn{modified} and mnist_7800/dwsep{modified}"
    assert shown.claims is not None
    assert shown.claims.note.endswith(f"Of a changed recipe: mnist_7800/cnn{modified}; mnist_7800/dwsep{modified}.")


def test_two_sweeps_of_the_same_runs_are_identical_and_of_others_are_compared(tmp_path: Path) -> None:
    first = make(tmp_path / "a", four_cells(seeds=8))
    same = make(tmp_path / "b", four_cells(seeds=8))
    compared = versus(first.folder, same.folder)
    assert compared.sentences[0] == (
        f"Is the test accuracy of {same.folder.path} better than that of {first.folder.path}? Of 4 cells in both: "
        "identical in every seed in 4."
    )

    lower = [one | {"test_acc": one["test_acc"] - 0.01 - one["seed"] / 1e4} for one in four_cells(8)]
    other = make(tmp_path / "c", [one | {"precision": "bf16"} for one in lower[:16]])
    found = versus(first.folder, other.folder)
    assert "Of 2 cells in both: worse in 2." in found.sentences[0]
    assert "precision" in found.sentences[1]
    assert found.sentences[2].startswith("Only in ")
    html, markdown, data = write_versus(found, first.folder.path)
    Page(html.read_text())
    assert found.sentences[0] in unescape(markdown.read_text().replace("\\", ""))
    assert len(json.loads(data.read_text())["cells"]) == 2
    assert found.picture is not None
    assert "worse" in found.picture.words.seen
    assert found.picture.words.seen in Page(html.read_text()).seen
    assert (html.parent / "figures" / f"{found.picture.name}.svg").exists()


def test_of_two_sweeps_in_two_precisions_each_cell_meets_its_own(tmp_path: Path) -> None:
    both = [run(seed=seed, precision=precision) for precision in ("32", "bf16") for seed in range(2)]
    first, second = make(tmp_path / "a", both), make(tmp_path / "b", both)
    compared = versus(first.folder, second.folder)
    assert "Of 2 cells in both: identical in every seed in 2." in compared.sentences[0]
    assert not [text for text in compared.sentences if text.startswith("Only in")]
    assert compared.cells.texts["time ratio"] == ["(x 1)", "(x 1)"]  # how many ran at once is not recorded
    assert compared.sentences[1:] == ["They differ in nothing else that is recorded."]


def test_two_sweeps_without_a_common_cell_say_what_each_has_and_what_differs(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=0)])
    second = make(tmp_path / "b", [run(seed=0, model="dwsep", block="keras", precision="bf16")])
    compared = versus(first.folder, second.folder)
    first_path, second_path = first.folder.path, second.folder.path
    assert compared.sentences[0] == f"{first_path} and {second_path} have no cell in common."
    assert compared.sentences[1].startswith("They differ in ")
    assert "precision" in compared.sentences[1]
    assert compared.sentences[2:] == [f"Only in {first_path}: cnn.", f"Only in {second_path}: dwsep."]
    html, markdown, _ = write_versus(compared, first.folder.path)
    for text in (html.read_text(), markdown.read_text()):
        assert "Cells in both" not in text
        assert "What is not the same" in text


def test_two_sweeps_of_few_seeds_and_half_the_runs_say_so(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=seed) for seed in range(4)])
    second = make(
        tmp_path / "b", [run(seed=0, test_acc=0.5), run(seed=1), run("missing", seed=2), run("failed", seed=3)]
    )
    comparison = versus(first.folder, second.folder)
    said = comparison.sentences
    assert comparison.cells.texts["second is"] == ["too few runs"]
    assert said[-1] == f"2 of 4 runs of {second.folder.path} have no result."


def with_images(sweep: Made, right: dict[int, list[bool]]) -> None:
    for run_id, seed in sweep.runs[["run_id", "seed"]].itertuples(index=False):
        folder = RunFolder(sweep.outputs / "runs" / run_id)
        folder.write_result(record(sweep.outputs, run_id), correct=right[seed])


def test_two_sweeps_are_compared_over_new_images_too_each_by_its_own(tmp_path: Path) -> None:
    """The runs have the same ids in both, and got other images right."""
    first, second = (make(tmp_path / name, [run(seed=seed) for seed in range(4)]) for name in "ab")
    apart = [[True] * 15 + [False] * 5, [False] * 5 + [True] * 15]  # .75, as the runs have it that are made
    for sweep, images in zip((first, second), apart, strict=True):
        with_images(sweep, dict.fromkeys(range(4), images))
    found = versus(first.folder, second.folder)
    assert (
        "the level that 5 %, shared by all cells, leaves to each, of new seeds and new images; p is" in found.cells.note
    )
    low, high = (float(end) for end in re.findall(r"[-+]?\d+\.\d+", found.cells.texts["interval"][0]))
    assert low < -20
    assert high > 20  # ten of twenty images were right in one alone
    damaged = second.outputs / "runs" / second.runs["run_id"][0]
    (damaged / "test_correct.bits").write_bytes(b"x")
    found = versus(first.folder, second.folder)
    assert "of new seeds and new images; p is" in found.cells.note  # by those of the other runs
    assert found.sentences[-1].startswith(f"Run {damaged.name} is judged without its images: {damaged}")


def test_two_sweeps_are_compared_by_the_default_margin_which_is_given(tmp_path: Path, call: Callable[..., Any]) -> None:
    cells_of = [run(seed=seed, data=data) for data in ("mnist", "cifar10") for seed in range(3)]
    first, second = (make(tmp_path / name, cells_of) for name in "ab")
    margins = (
        "less than 0.20 points on mnist and 1.00 points on cifar10, the default, whatever the sweeps were run with."
    )
    assert margins in versus(first.folder, second.folder).cells.note
    ended = call("dsbench", "report", str(first.folder.path), str(second.folder.path), "--margin", "3")
    asked = "--margin is of the page of one sweep; two are compared by the default of each data set"
    assert (ended.code, ended.err) == (2, f"error: {asked}\n")


def test_a_precision_that_collapses_in_two_of_eight_seeds_has_that_beside_its_accuracy(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=seed) for seed in range(8)])
    statuses = ["collapsed", "diverged", *["done"] * 6]
    second = make(tmp_path / "b", [run(one, seed=seed, precision="bf16") for seed, one in enumerate(statuses)])
    found = versus(first.folder, second.folder)
    assert found.cells.texts["accuracy, second"] == ["75.00 ± 0.00 % (n 6)"]
    assert found.cells.texts["failed to train, second"] == ["2 of 8"]
    assert "failed to train, first" not in found.cells.texts
    assert f"2 of 8 runs of {second.folder.path} failed to train (1 collapsed and 1 diverged)." in found.sentences


def test_the_command_writes_the_latest_sweep_and_says_where(made: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from dsbench.cli.app import app

    sweep = made([run(seed=seed) for seed in range(2)])
    ended = CliRunner().invoke(app, ["report", f"--outputs={sweep.outputs}"])
    assert ended.exit_code == 0, ended.output
    assert str(sweep.folder.path / "report.html") in ended.output
    compared = CliRunner().invoke(app, ["report", "made", str(sweep.folder.path), f"--outputs={sweep.outputs}"])
    assert compared.exit_code == 0, compared.output
    assert (sweep.folder.path / "versus-made.html").exists()


def test_what_cannot_be_written_is_told_from_what_cannot_be_read(made: Make, call: Callable[..., Any]) -> None:
    sweep = made([run(seed=0)])
    pictures, plan = sweep.folder.path / "figures", sweep.folder.plan_file
    pictures.touch()
    ended = call("dsbench", "report", str(sweep.folder.path))
    assert (ended.code, ended.err) == (2, f"error: cannot write into {sweep.folder.path}: File exists\n")
    plan.unlink()
    plan.mkdir()
    ended = call("dsbench", "report", str(sweep.folder.path))
    assert (ended.code, ended.err) == (1, f"error: IsADirectoryError: [Errno 21] Is a directory: '{plan}'\n")


def test_a_page_that_is_there_will_do_until_a_record_or_a_file_of_its_own_changes(written: Written) -> None:
    folder, first = written.sweep.folder, made_of(written.sweep.folder)
    assert written_of(folder.path, first) == []  # it was written without
    files = write(written.page, folder.path, first)
    assert written_of(folder.path, made_of(folder)) == files
    picture = next((folder.path / "figures").glob("*.svg"))
    content = picture.read_bytes()
    picture.unlink()
    assert written_of(folder.path, first) == []
    picture.write_bytes(content)
    matrix = RunFolder(folder.outputs / "runs" / folder.run_ids()[0]).confusion_file
    before = matrix.read_bytes()
    matrix.write_bytes(before + b"\n")
    assert made_of(folder) != first
    matrix.write_bytes(before)
    assert made_of(folder) == first
    files[-1].write_text("{")
    assert written_of(folder.path, first) == []
    write(written.page, folder.path)  # as the other tests have it

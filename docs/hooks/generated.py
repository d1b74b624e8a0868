"""A hook of MkDocs: makes the pages of the reference while the site is built, and lists them in its navigation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configuration import configuration_pages
from markdown_text import escaped

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]


def on_config(config: MkDocsConfig) -> None:
    """Complete the navigation: the reference, and the reports of what was run, where there are any."""
    assert config.nav is not None
    pages = reference_pages()
    (reference,) = (entry for entry in config.nav if "Reference" in entry)
    reference["Reference"] = _tree(list(pages))
    reports = sorted(Path(config.docs_dir).glob("results/*/report.md"))
    if reports:
        results = [{path.parent.name: path.relative_to(config.docs_dir).as_posix()} for path in reports]
        results = [{"When to use which": "results/index.md"}, *results]
        config.nav.insert(config.nav.index(reference), {"Results": results})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and the notebook."""
    from mkdocs.structure.files import File

    for path, text in reference_pages().items():
        files.append(File.generated(config, path, content=text))
    notebook = (ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8")
    files.append(File.generated(config, "notebook.ipynb", content=notebook))  # to be taken along: it is no page
    return files


def reference_pages() -> dict[str, str]:
    """The text of each page by its path, in the order of the navigation."""
    pages = {"command-line.md": command_line()}
    pages |= {f"configuration/{name}": text for name, text in configuration_pages(ROOT / "conf").items()}
    pages |= {f"python/{name}": text for name, text in python_pages(ROOT / "dsbench").items()}
    return {f"reference/{name}": text for name, text in pages.items()}


def command_line() -> str:
    """Every command and option, as Typer itself documents them."""
    command = [sys.executable, "-m", "typer", "dsbench.cli.app", "utils", "docs", "--name", "dsbench"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    head, *rest = text.split("\n", 1)
    assert head == "# `dsbench`"
    return f"# The command line\n\n{escaped(rest[0])}"


def python_pages(package: Path) -> dict[str, str]:
    """A page of what is public, and one a subpackage with all of its modules; mkdocstrings fills in docstrings."""
    folders = sorted(path.parent for path in package.glob("*/__init__.py"))
    rows = [
        f"| [`dsbench.{folder.name}`]({folder.name}.md) | {escaped(_docstring(folder / '__init__.py'))} |"
        for folder in folders
    ]
    public = f"| [`dsbench`](api.md) | {escaped(_docstring(package / 'api.py'))} |"
    index = "\n".join(["# The Python package", "", "| package | what it is about |", "|---|---|", public, *rows, ""])
    pages = {"index.md": index, "api.md": "# dsbench\n\n::: dsbench.api\n"}
    names = [folder.name for folder in folders]
    return pages | {f"{name}.md": f"# dsbench.{name}\n\n::: dsbench.{name}\n" for name in names}


def _docstring(module: Path) -> str:
    """Its first line."""
    return module.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]


def _tree(paths: list[str]) -> list[dict[str, Any]]:
    """The entries of the navigation for generated pages."""
    titles = {"configuration": "Configuration", "python": "Python"}
    tree: list[dict[str, Any]] = [{"Command line": paths[0]}]
    for folder, title in titles.items():
        inside = [path for path in paths if path.startswith(f"reference/{folder}/")]
        tree.append({title: [{_title(path, title): path} for path in inside]})
    return tree


def _title(path: str, section: str) -> str:
    name = Path(path).stem
    if name in ("index", "api"):
        return {"index": "Overview", "api": "dsbench"}[name]
    return name.replace("-", "/") if section == "Configuration" else f"dsbench.{name}"

"""Folders stand on each other: what a module imports, at once, later or for its types, lies on its floor or below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsbench

PACKAGE = Path(dsbench.__file__).parent
# From the ground up. Modules of the ground floor stand beside the folders.
FLOORS = (
    (
        "__init__",
        "errors",
        "files",
        "machine",
        "numerals",
        "process",
        "provenance",
        "quantities",
        "seeds",
        "torchvision_ops",
    ),
    ("tables", "layout", "console"),
    ("network",),
    ("data",),
    ("config",),
    ("statistics",),
    ("training",),
    ("tracking",),
    ("deploy",),
    ("measure",),
    ("chips",),
    ("budget",),
    ("run",),
    ("results",),
    ("verdict",),
    ("sweep",),
    ("claims",),
    ("figures",),
    ("report",),
    ("publish",),
    ("conclude",),
    ("cli", "api"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def modules() -> list[Path]:
    """Every module of the package, relative to it."""
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """What of dsbench the module names in an import anywhere in it: the first name below dsbench."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "dsbench":
            yield from (alias.name if alias.name in FLOOR else "__init__" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dsbench."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dsbench."))


def tree() -> set[Path]:
    """The modules that the tree in CONTRIBUTING.md has, relative to the package."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    out, folder = set(), Path()
    for indent, name in re.findall(
        r"^( +)(\S+)", text.split("<!-- tree -->")[1].split("hydra_plugins/")[0], re.MULTILINE
    ):
        if len(indent) == 2:
            folder = Path(name)
        if len(indent) <= 4 and name.endswith(".py"):
            out.add(folder / name if len(indent) == 4 else folder)
    return out


def place(path: Path) -> str:
    """The folder or the module of the ground floor that a module is of."""
    return path.parts[0].removesuffix(".py")


def test_every_folder_has_a_floor() -> None:
    assert {place(path) for path in modules()} == set(FLOOR)


def test_the_package_itself_names_what_is_public_and_imports_nothing_else() -> None:
    """It reaches the top floor from the ground: by name, when a name is asked for, and for type checkers."""
    assert set(imported(Path("__init__.py"))) == {"api"}
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert {*dsbench.__all__} <= {*named} <= {*dsbench.__all__, "ModuleType", "TYPE_CHECKING", "Any"}
    assert dir(dsbench) == sorted([*dsbench.__all__, "__version__"])


@pytest.mark.parametrize("path", [path for path in modules() if path != Path("__init__.py")], ids=str)
def test_a_module_imports_nothing_from_above(path: Path) -> None:
    above = {name for name in imported(path) if FLOOR[name] > FLOOR[place(path)]}
    assert not above, f"{path} imports {', '.join(sorted(above))}"


def test_the_tree_for_contributors_has_every_module() -> None:
    assert tree() == {path for path in modules() if path.name != "__init__.py"}


def test_the_ways_for_contributors_name_files_that_are_there() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)`", text.split("<!-- end of tree -->")[1]))
    assert len(named) > 40
    assert {name for name in named if not any((root / name).exists() for root in (PACKAGE, PACKAGE.parent))} == set()

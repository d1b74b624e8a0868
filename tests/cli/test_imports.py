"""What is imported is what is used: help and mistakes wait for neither torch nor Lightning nor W&B."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "pytorch_lightning", "wandb", "torchmetrics"}


def imported(code: str, *arguments: str) -> set[str]:
    """The top-level modules in a process that has run `code`, whatever it exits with."""
    code = f"import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules)); {code}"
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    return {name.split(".")[0] for name in ended.stdout.splitlines()[-1].split()}


def test_importing_dsbench_imports_nothing_heavy() -> None:
    found = imported("import dsbench")
    assert "dsbench" in found
    assert not found & {*HEAVY, "hydra", "omegaconf", "numpy", "rich", "typer"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["widht=8"], ["model=foo"], ["width=abc"], ["experiment=foo"]],
    ids=lambda arguments: arguments[0],
)
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    found = imported("from dsbench.cli.hydra import train; train()", *arguments)
    assert "hydra" in found
    assert not found & HEAVY

"""What is imported is what is used: help and mistakes wait for neither torch nor Lightning nor W&B."""

import json
import subprocess
import sys

HEAVY = {"torch", "torchvision", "pytorch_lightning", "wandb", "torchmetrics"}
COMMANDS = [["--help"], ["widht=8"], ["model=foo"], ["width=abc"], ["train.max_epochs=two"], ["experiment=foo"]]

# Each command line in turn, and after it the top-level modules that are there.
CODE = """
import contextlib, io, json, os, sys

def modules():
    return sorted({name.split(".")[0] for name in sys.modules})

import dsbench
assert "sweep" in dir(dsbench)
there = [modules()]
from dsbench.cli.hydra import train
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:], os.environ["HYDRA_FULL_ERROR"] = arguments, "0"  # a command line leaves it at 1
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        train()
    there.append(modules())
print(json.dumps(there))
"""


def test_importing_dsbench_help_and_mistakes_import_nothing_heavy() -> None:
    command = [sys.executable, "-c", CODE, json.dumps(COMMANDS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    imported, *commands = map(set, json.loads(ended.stdout))
    assert "dsbench" in imported
    assert not imported & {*HEAVY, "hydra", "omegaconf", "numpy", "rich", "typer"}
    for arguments, there in zip(COMMANDS, commands, strict=True):
        assert "hydra" in there
        assert not there & HEAVY, arguments
    assert [line.split(" ")[0] for line in ended.stderr.splitlines()] == ["error:"] * (len(COMMANDS) - 1)


def test_a_single_run_loads_nothing_of_sweeps_or_of_measuring() -> None:
    code = (
        "import json, sys; from dsbench import torchvision_ops; torchvision_ops.ensure();"
        "import dsbench.cli.hydra, dsbench.run.execute, dsbench.run.progress;"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('dsbench.'))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = json.loads(ended.stdout)
    assert "dsbench.training.fit" in loaded
    folders = {name.split(".")[1] for name in loaded}
    assert not folders & {"sweep", "results", "verdict", "statistics", "report", "figures", "claims", "publish"}
    assert [name for name in loaded if name.startswith("dsbench.measure.")] == ["dsbench.measure.record"]

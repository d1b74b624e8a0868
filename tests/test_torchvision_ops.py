"""What is declared in torchvision's place where its compiled operators are missing; each fact in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REGISTER_AS_THE_COMPILED_LIBRARY_DOES = """
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.impl("nms", lambda dets, scores, iou_threshold: torch.tensor([7]), "CPU")
"""

HIDE_THE_COMPILED_LIBRARY = """
import torch
def load_library(path):
    raise OSError("libtorch_cuda.so: cannot open shared object file")
torch.ops.load_library = load_library
"""


# Each script is a process of its own, forked from one that has imported torch and no torchvision.
FORKING = """
import os, sys
import torch

for code in sys.argv[1:]:
    print("--- script", flush=True)
    child = os.fork()
    if child == 0:
        exec(code, {})
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("failed: " + code)
"""

MISSING = f"""{HIDE_THE_COMPILED_LIBRARY}
from dsbench import torchvision_ops
torchvision_ops.ensure()
declared = torchvision_ops._declared
torchvision_ops.ensure()
import gc; gc.collect()
import torchvision
torchvision_ops.ensure()
print(torchvision_ops._declared is declared is not None, len(torchvision.datasets.CIFAR10.train_list))
"""

REPEATED = f"""{HIDE_THE_COMPILED_LIBRARY}
try:
    import torchvision
except RuntimeError as error:
    print(str(error).split()[-4:-3])
from dsbench import torchvision_ops
torchvision_ops.ensure()
import torchvision
print("imported")
"""

WORKING = f"""{HIDE_THE_COMPILED_LIBRARY}{REGISTER_AS_THE_COMPILED_LIBRARY_DOES}
from dsbench import torchvision_ops
torchvision_ops.ensure()
print(torchvision_ops._declared)
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist())
import torchvision
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist())
"""

HERE = """
from dsbench import torchvision_ops
torchvision_ops.ensure()
import torch, torchvision
print((torchvision_ops._declared is None) == torchvision.extension._has_ops())
if torchvision.extension._has_ops():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 9, 10], [20, 20, 30, 30]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]
"""

MEASURING = f"""{HIDE_THE_COMPILED_LIBRARY}
import logging
from pathlib import Path
from dsbench.conclude import Share, measure
logging.basicConfig(format="%(message)s")
measure(Path("nowhere"), ["aaa"], Share(60.0, 0.5, roofline=True))
import pytorch_lightning  # as what measures a run does
print("imported")
"""

MIRRORING = f"""{HIDE_THE_COMPILED_LIBRARY}
from pathlib import Path
from types import SimpleNamespace
from dsbench.run.mirror import mirror_again
mirror_again(None, SimpleNamespace(last=Path("nowhere")), SimpleNamespace(result=None))
print("mirrored")
"""


def run(*arguments):
    """Runs Python on a piece of code with some arguments and returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed():
    """The words that each script prints."""
    scripts = (MISSING, REPEATED, WORKING, HERE, MEASURING, MIRRORING)
    parts = run(FORKING, *scripts).split("--- script")[1:]
    return {script: part.split() for script, part in zip(scripts, parts, strict=True)}


@pytest.mark.thorough
def test_torchvision_can_be_imported_where_its_operators_are_missing(printed):
    assert printed[MISSING] == ["True", "5"]


def test_without_the_shim_that_import_fails_and_with_it_it_can_be_repeated(printed):
    assert printed[REPEATED] == ["['torchvision::nms']", "imported"]


def test_operators_that_work_are_left_alone(printed):
    assert printed[WORKING] == ["None", "[7]", "[7]"]


def test_operators_are_declared_here_exactly_when_the_compiled_ones_do_not_load(printed):
    assert printed[HERE] == ["True"]


def test_importing_dsbench_imports_no_torch():
    code = "import sys, dsbench.torchvision_ops, dsbench.data.prepared, dsbench.cli.data; print('torch' in sys.modules)"
    assert run(code) == "False\n"


def test_a_process_that_has_trained_nothing_can_measure_the_cells_of_a_sweep(printed):
    assert printed[MEASURING] == ["imported"]


def test_what_chips_say_can_be_shown_in_the_tracker_by_a_process_that_has_trained_and_measured_nothing(printed):
    assert printed[MIRRORING] == ["mirrored"]

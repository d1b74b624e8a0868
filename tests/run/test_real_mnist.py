"""Real MNIST, wherever it can be had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsbench.data import prepared
from dsbench.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.mark.real
def test_the_7800_parameter_net_of_the_study_learns_mnist_in_two_epochs(tmp_path: Path) -> None:
    """Seeds 0 and 1 gave 92.6 and 94.8 %; after five epochs twelve seeds had 95.6-97.5 %."""
    data = Path(os.environ.get("DSBENCH_DATA", ROOT / "data"))
    try:
        prepared.prepare("mnist", data)
    except InputError as error:
        pytest.skip(f"MNIST cannot be had here: {error}")
    command = [sys.executable, str(ROOT / "train.py"), "experiment=mnist_7800/cnn", "train.max_epochs=2"]
    command += ["logger=csv", f"data.root={data}", f"outputs={tmp_path}"]
    subprocess.run(command, check=True, timeout=600)
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json"))
    assert (result["params"], result["macs"], result["split"]) == (7800, 680_932, "study")
    assert result["study"] == "mnist_7800/cnn (modified: train.max_epochs)"
    assert 0.88 <= result["test_acc"] <= 0.97

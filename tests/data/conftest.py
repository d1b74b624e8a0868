"""Fixtures of the tests of the data layer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_set import make_arrays, make_set


@pytest.fixture
def arrays():
    return make_arrays((4, 4), (8, 6, 6), (3, 3, 2))


@pytest.fixture
def tiny(arrays):
    return make_set(arrays)


@pytest.fixture
def put_npz(tmp_path, arrays):
    """Writes tiny.npz, with some arrays replaced (None leaves one out), and returns its path."""

    def put(**changes):
        path = tmp_path / "tiny.npz"
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
        return path

    return put


@pytest.fixture
def spawn():
    """Starts Python on a piece of code with some values, passed as JSON, in ``given``."""

    def start(code, **given):
        code = f"import json, sys\ngiven = json.loads(sys.argv[1])\n{code}"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", code, json.dumps(given)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    return start

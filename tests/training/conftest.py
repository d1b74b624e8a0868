"""A set of so few images that a run of it is a few steps."""

from pathlib import Path

import numpy as np
import pytest

from dsbench.data import prepared
from dsbench.data.own import as_yaml, described


@pytest.fixture(scope="session")
def few(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The overrides that name it: of each class the first digits of mnist5k, 45 to train on, 5 and 20 to measure by.

    Two computations of one step in float32 that sum in another order, as kernels do for another batch size or on
    another CPU, differ in the last bits, and each further step makes more of that. After a few steps it is still
    thousands of times less than what a wrong computation makes.
    """
    digits, root = prepared.load("mnist5k", data_root), tmp_path_factory.mktemp("few")
    arrays = {}
    for part, count in (("train", 5), ("test", 2)):
        images, labels = getattr(digits, f"x_{part}"), getattr(digits, f"y_{part}")
        rows = np.concatenate([np.flatnonzero(labels == digit)[:count] for digit in range(10)])
        arrays |= {f"x_{part}": images[rows], f"y_{part}": labels[rows]}
    np.savez(root / "few.npz", **arrays)
    few = described(root / "few.npz")
    prepared.prepare(few, root)
    (root / "conf" / "data").mkdir(parents=True)
    (root / "conf" / "data" / "few.yaml").write_text(as_yaml(few))
    return f"data=few data.root={root} hydra.searchpath=[file://{root}/conf]"

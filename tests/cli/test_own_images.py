"""From a folder of one's own images to a verdict, by the commands that the documentation gives."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsbench.config.compose import compose
from dsbench.config.network import dataset_of
from dsbench.data import prepared

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
QUICK = "precision=32 logger=csv progress=none threads=1 train.max_epochs=1 bench_minutes=0 n_jobs=1"


@pytest.fixture
def digits(data_root: Path, tmp_path: Path) -> dict[str, np.ndarray]:
    """The first 30 images of each digit of mnist5k, by their class, as PNG files below digits/train and digits/test.

    The test part has no nine.
    """
    real = prepared.load("mnist5k", data_root)
    out = {}
    for label, name in enumerate(NAMES):
        images = out[name] = np.array(real.x_train[real.y_train == label][:30, ..., 0])
        for number, image in enumerate(images):
            part = "test" if number < 5 and name != "nine" else "train"
            path = tmp_path / "digits" / part / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return out


def test_from_a_folder_to_a_verdict(
    digits: dict[str, np.ndarray], tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DSBENCH_DATA", raising=False)
    came = call("dsbench", *shlex.split("data import digits --size 28 --grey"))
    assert came.code == 0, came.err
    assert "the test part has no image of class nine" in came.err
    dataset = dataset_of(compose(["data=digits"]).config.data)
    arrays = prepared.load(dataset, tmp_path / "data")
    assert dataset.class_names == tuple(sorted(NAMES))
    for label, name in enumerate(sorted(NAMES)):
        kept = [getattr(arrays, f"x_{part}")[getattr(arrays, f"y_{part}") == label] for part in ("train", "test")]
        assert {image.tobytes() for image in np.concatenate(kept)} == {image.tobytes() for image in digits[name]}

    (line,) = re.findall(r"^next: dsbench sweep (.*)$", came.out, re.MULTILINE)
    words = [word for word in shlex.split(line) if not word.startswith(("width=", "seeds="))]
    swept = call("sweep", *words, *QUICK.split(), "width=2", "seeds=1")
    assert swept.code == 0, swept.out + swept.err
    assert "cnn and dwsep on digits" in swept.out
    records = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/runs/*/result.json")]
    assert len(records) == 2
    for record in records:
        assert record["class_names"] == sorted(NAMES)
        assert [record["class_names"][i] for i, a in enumerate(record["test_class_acc"]) if a is None] == ["nine"]
    (page,) = tmp_path.glob("outputs/sweeps/*/report.html")
    assert {name for name in NAMES if f">{name}<" in page.read_text()} == set(NAMES)

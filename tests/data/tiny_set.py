"""A tiny set with a checksum of its own, so that the real code runs on it in milliseconds."""

import hashlib

import numpy as np

from dsbench.data.sets import DataSet

KEYS = ("x_train", "y_train", "x_test", "y_test")


def reference_sha256(arrays):
    """The fingerprint written out in plain Python, as an independent reference."""
    parts = []
    for part in ("train", "test"):
        images = np.asarray(arrays[f"x_{part}"])
        labels = np.asarray(arrays[f"y_{part}"]).ravel()
        size = 1 if int(np.max(arrays["y_train"])) < 256 else 2
        labelled = ((x.tobytes(), int(y).to_bytes(size, "big")) for x, y in zip(images, labels, strict=True))
        pairs = sorted(hashlib.sha256(image + label).digest() for image, label in labelled)
        parts.append(hashlib.sha256(b"".join(pairs)).digest())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def make_arrays(shape, train_counts, test_counts, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, counts in (("train", train_counts), ("test", test_counts)):
        labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        arrays[f"x_{part}"] = rng.integers(0, 256, (len(labels), *shape), dtype=np.uint8)
        arrays[f"y_{part}"] = labels
    return arrays


def make_set(arrays, **fields):
    channels = arrays["x_train"].shape[3] if arrays["x_train"].ndim == 4 else 1
    height, width = arrays["x_train"].shape[1:3]
    defaults = {
        "name": "tiny",
        "title": "Tiny",
        "image_shape": (channels, height, width),
        "train_counts": tuple(np.bincount(arrays["y_train"]).tolist()),
        "test_counts": tuple(np.bincount(arrays["y_test"]).tolist()),
        "sha256": reference_sha256(arrays),
        "validation_size": 5,
    }
    return DataSet(**{**defaults, **fields})


def idx(array):
    """The content of an IDX file of bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()

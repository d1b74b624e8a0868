"""Mean and standard deviation of each channel, exact to the last bit of a float64 whatever the order of the images."""

import numpy as np


def histogram(images: np.ndarray) -> np.ndarray:
    """How often each channel has each value: (channels, 256) int64 from (n, height, width, channels) uint8."""
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), 1024):
        pixels = images[start : start + 1024].reshape(-1, channels)
        counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(channels)])
    return counts


def moments(counts: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of x/255 by channel, from a histogram (channels, 256)."""
    values = np.arange(256)
    size, total, squares = counts.sum(axis=1), counts @ values, counts @ values**2
    mean = total / size
    std = np.sqrt(squares / size - mean**2)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())

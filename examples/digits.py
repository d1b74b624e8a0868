# examples/digits.py: scikit-learn's 1,797 real digits of 8x8 pixels, as data/digits.npz
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (n, height, width) or (n, height, width, channels)
labels = digits.target  # whole numbers from 0
Path("data").mkdir(exist_ok=True)
np.savez("data/digits.npz", x_train=images[:1500], y_train=labels[:1500], x_test=images[1500:], y_test=labels[1500:])

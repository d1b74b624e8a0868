# examples/digits.py: scikit-learn's 1,797 real digits of 8x8 pixels, as data/digits.npz
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (n, height, width) or (n, height, width, channels)
x_train, x_test = images[:1500], images[1500:]
y_train, y_test = digits.target[:1500], digits.target[1500:]  # whole numbers from 0
Path("data").mkdir(exist_ok=True)
np.savez("data/digits.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

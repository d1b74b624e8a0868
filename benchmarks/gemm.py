"""The machine's rate of fp32 matrix multiplication, the yardstick of the benchmark.

python gemm.py THREADS OUT writes {"flops": FLOP per second} to OUT: the best of 10 products of 2048 x 2048 matrices,
where one product counts 2 * 2048^3 FLOP. It is no upper bound: on an AMD processor with AVX-512, torch's convolutions
(oneDNN) reached twice the rate of its matrix multiplication (MKL), so that a dense network can attain more than all.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

SIDE, REPEATS = 2048, 10

threads, out = sys.argv[1:]
torch.set_num_threads(int(threads))
left, right, product = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.empty(SIDE, SIDE)
seconds = []
for _ in range(1 + REPEATS):  # the first warms up
    start = time.perf_counter()
    torch.mm(left, right, out=product)
    seconds.append(time.perf_counter() - start)
Path(out).write_text(json.dumps({"flops": 2 * SIDE**3 / min(seconds[1:])}))

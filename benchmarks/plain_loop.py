"""The plain PyTorch loop of a careful user: all images in memory as one float tensor in channels_last format.

python plain_loop.py CASE FOLDER ROWS EPOCHS THREADS OUT trains on the images in FOLDER whose numbers are in ROWS, and
writes to OUT the parameters and the seconds of each epoch as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recipes import RECIPES
from torch.nn.functional import cross_entropy

case, folder, chosen, epochs, threads, out = sys.argv[1:]
recipe = RECIPES[case]
torch.set_num_threads(int(threads))
torch.manual_seed(0)

images = torch.from_numpy(np.load(Path(folder) / "x_train.npy")).permute(0, 3, 1, 2).float().mul_(recipe.factor)
images = images.contiguous(memory_format=torch.channels_last)
labels = torch.from_numpy(np.load(Path(folder) / "y_train.npy")).long()
train = torch.from_numpy(np.load(chosen))
network = recipe.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
optimizer = recipe.optimizer(network)

seconds = []
for epoch in range(int(epochs)):
    start = time.perf_counter()
    network.train()
    total, right = torch.zeros(()), torch.zeros((), dtype=torch.long)
    for rows in train[torch.randperm(len(train))].split(recipe.batch_size):
        x, y = images[rows], labels[rows]
        optimizer.zero_grad()
        logits = network(x)
        loss = cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(y)
        right += (logits.argmax(1) == y).sum()
    mean, accuracy = total.item() / len(train), right.item() / len(train)
    seconds.append(time.perf_counter() - start)
    print(f"epoch {epoch + 1}  loss {mean:.4f}  accuracy {accuracy:.4f}  {seconds[-1]:.2f} s")

params = sum(p.numel() for p in network.parameters())
Path(out).write_text(json.dumps({"params": params, "epoch_seconds": seconds}))

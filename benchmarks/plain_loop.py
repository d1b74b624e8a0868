"""The plain PyTorch loop of a careful user: all images in memory, on a GPU in its own, in channels_last format.

python plain_loop.py CASE FOLDER ROWS EPOCHS THREADS OUT trains on the images in FOLDER whose numbers are in ROWS, on
the CPU, and writes to OUT the parameters and the seconds of each epoch as JSON. benchmarks/gpu.py calls `train`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recipes import RECIPES, Recipe
from torch import nn
from torch.nn.functional import cross_entropy


def train(
    recipe: Recipe,
    folder: Path,
    chosen: Path,
    epochs: int,
    device: str = "cpu",
    precision: str = "32",
    memory_format: torch.memory_format = torch.channels_last,
) -> tuple[nn.Module, list[float]]:
    """Train on the images of `chosen`; returns the network and the seconds of each epoch.

    `precision` is 32 or bf16 (autocast). Nothing waits for the device within an epoch.
    """
    torch.manual_seed(0)
    images = torch.from_numpy(np.load(folder / "x_train.npy")).permute(0, 3, 1, 2).float().mul_(recipe.factor)
    images = images.add_(recipe.shift).contiguous(memory_format=memory_format).to(device)
    labels = torch.from_numpy(np.load(folder / "y_train.npy")).long().to(device)
    rows = torch.from_numpy(np.load(chosen)).to(device)
    network: nn.Module = recipe.network().to(device, memory_format=memory_format)  # type: ignore[call-overload]
    optimizer = recipe.optimizer(network)
    steps = epochs * -(-len(rows) // recipe.batch_size)
    schedule = recipe.schedule(optimizer, steps) if recipe.schedule else None
    seconds = []
    for epoch in range(epochs):
        start = time.perf_counter()
        network.train()
        total, right = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
        for batch in rows[torch.randperm(len(rows), device=device)].split(recipe.batch_size):
            x, y = images[batch], labels[batch]
            if recipe.crop_padding or recipe.flip:
                x = recipe.augmented(x).contiguous(memory_format=memory_format)
            optimizer.zero_grad()
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
                logits = network(x)
                loss = cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            if schedule:
                schedule.step()
            total += loss.detach() * len(y)
            right += (logits.argmax(1) == y).sum()
        mean, accuracy = total.item() / len(rows), right.item() / len(rows)  # wait for all that was computed
        seconds.append(time.perf_counter() - start)
        print(f"epoch {epoch + 1}  loss {mean:.4f}  accuracy {accuracy:.4f}  {seconds[-1]:.2f} s")
    return network, seconds


def main() -> None:
    """Train as the command line says."""
    case, folder, chosen, epochs, threads, out = sys.argv[1:]
    torch.set_num_threads(int(threads))
    network, seconds = train(RECIPES[case], Path(folder), Path(chosen), int(epochs))
    params = sum(p.numel() for p in network.parameters())
    Path(out).write_text(json.dumps({"params": params, "epoch_seconds": seconds}))


if __name__ == "__main__":
    main()

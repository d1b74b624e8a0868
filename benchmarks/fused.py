"""S networks as one program, in two ways, against S one after another: python benchmarks/fused.py [--device cuda]

A training step of S members of one network (forward, loss, backward, SGD), each with its own images:
- alone: S modules, one after another;
- grouped: dsbench.network.fused, grouped operators on (B, S*C, H, W);
- vmap: torch.func.vmap of the module alone over stacked parameters.

The ways take turns in one process, so that what else the machine does hits them alike. A line has the milliseconds of
S steps alone and how many times as fast the others are: the median of the ratios of all turns. With `--graph`, on CUDA,
each way's step is one CUDA graph, so that what remains is the device's time and not that of starting operations.

On a CPU (AMD EPYC, one thread of two cores that other work kept busy, load average 10; torch 2.13), float32, `--members
4 16 --batch 16 --turns 3 --seconds 0.1`; the milliseconds are worth little, the ratios are of turns side by side:

    network             S format        alone ms  grouped     vmap
    mnist_7800 cnn      4 channels_last     30.83     1.66     0.52
    mnist_7800 cnn      4 contiguous        29.29     0.75     0.76
    mnist_7800 cnn     16 channels_last    109.62     1.94     0.86
    mnist_7800 cnn     16 contiguous       119.09     0.93     1.09
    mnist_7800 dwsep    4 channels_last     97.05     1.21     0.78
    mnist_7800 dwsep    4 contiguous       108.04     0.91     0.91
    mnist_7800 dwsep   16 channels_last    403.37     1.12     0.66
    mnist_7800 dwsep   16 contiguous       430.72     0.79     0.72
    plain cnn 8         4 channels_last     96.10     1.48     0.94
    plain cnn 8         4 contiguous       119.99     1.38     0.99
    plain cnn 8        16 channels_last    368.34     1.45     0.80
    plain cnn 8        16 contiguous       443.16     1.35     1.18
    plain dwsep 8       4 channels_last    268.56     2.61     0.81
    plain dwsep 8       4 contiguous       290.10     1.48     1.42
    plain dwsep 8      16 channels_last    963.89     2.64     1.09
    plain dwsep 8      16 contiguous      1214.38     2.01     1.83
    plain cnn 16        4 channels_last    269.15     1.11     0.72
    plain cnn 16        4 contiguous       338.60     1.11     0.98
    plain cnn 16       16 channels_last    998.69     1.12     0.51
    plain cnn 16       16 contiguous      1653.70     1.13     1.00
    plain dwsep 16      4 channels_last    385.92     1.96     0.72
    plain dwsep 16      4 contiguous       492.82     1.20     0.91
    plain dwsep 16     16 channels_last   1350.46     1.63     0.57
    plain dwsep 16     16 contiguous      1984.78     1.37     1.18

Grouped operators are faster than vmap in every line in channels_last, the format that dsbench trains in, so they are
what it takes. What the ratios are on CUDA is not known: this has not run on a card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from machine import facts, load_average
from torch import Tensor, nn, optim
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.measure.subject import random_batch
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.network.fused import Fused, stacked
from dsbench.training.device import set_up_process
from dsbench.training.graph import CudaGraphs
from dsbench.training.step import mean_losses

FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
DTYPES = {"32": torch.float32, "bf16": torch.bfloat16}
Step = Callable[[], object]


def named(width: int, family: str) -> tuple[str, str]:
    """What a line of the table calls the network, and the overrides that name it."""
    return f"plain {family} {width}", f"model={family} arch=plain data=cifar10 width={width}"


MNIST = {
    "mnist_7800 cnn": "experiment=mnist_7800/cnn",
    "mnist_7800 dwsep": "experiment=mnist_7800/dwsep_same_budget",
}


class Ways:
    """The steps of `members` networks on one batch a member, by the name of the way."""

    def __init__(self, network: Network, members: int, asked: argparse.Namespace, memory_format: str) -> None:
        self.network, self.members, self.asked = network, members, asked
        self.device, self.format = torch.device(asked.device), FORMATS[memory_format]
        self.images, self.labels = random_batch(network, self.device, members * asked.batch)

    def steps(self, graphs: CudaGraphs | None = None) -> dict[str, Step]:
        """Ready to be called, each with a call behind it, and captured where there are `graphs`."""
        out: dict[str, Step] = {"alone": self._alone(), "grouped": self._grouped(), "vmap": self._vmap()}
        for step in out.values():
            step()
        return {name: self._captured(step, graphs) for name, step in out.items()} if graphs else out

    def _alone(self) -> Step:
        images = [own.contiguous(memory_format=self.format) for own in self.images.chunk(self.members)]
        labels = self.labels.chunk(self.members)
        steps = [
            self._step(module, module.parameters(), lambda m=module, x=x, y=y: cross_entropy(m(x).float(), y))
            for module, x, y in zip(self._modules(), images, labels, strict=True)
        ]
        return lambda: [step() for step in steps]

    def _grouped(self) -> Step:
        module = Fused(self._modules())
        images = torch.cat(self.images.chunk(self.members), 1).contiguous(memory_format=self.format)
        labels = self.labels.view(self.members, -1)
        return self._step(module, module.parameters(), lambda: mean_losses(module(images).float(), labels).sum())

    def _vmap(self) -> Step:
        modules = self._modules()
        parameters, buffers = self._stacked(modules)
        images = self.images.unflatten(0, (self.members, -1))  # each member's in channels_last
        images = images if self.format is torch.channels_last else images.contiguous()
        labels = self.labels.view(self.members, -1)

        def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(functional_call(modules[0], (parameters, buffers), (x,)).float(), y)

        each = vmap(loss, randomness="different")
        step = lambda: each(parameters, buffers, images, labels).sum()  # noqa: E731
        return self._step(modules[0], parameters.values(), step)

    @staticmethod
    def _stacked(modules: Sequence[nn.Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As torch.func.stack_module_state has it, but in the memory format of the modules, which that loses."""
        parameters = stacked([{name: p.detach() for name, p in m.named_parameters()} for m in modules])
        buffers = stacked([dict(module.named_buffers()) for module in modules])
        return {name: value.requires_grad_() for name, value in parameters.items()}, buffers

    def _modules(self) -> list[nn.Sequential]:
        modules = [build(self.network, seed).to(self.device) for seed in range(self.members)]
        return [module.to(memory_format=self.format) for module in modules]  # type: ignore[call-overload]

    def _step(self, module: nn.Module, parameters: Sequence[Tensor], loss: Callable[[], Tensor]) -> Step:
        optimizer = optim.SGD(parameters, 0.01, momentum=0.9, nesterov=True, fused=True)
        dtype = DTYPES[self.asked.precision]

        def step() -> None:
            with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False):
                value = loss()
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

        return step

    def _captured(self, step: Step, graphs: CudaGraphs) -> Step:
        def once() -> None:
            step()

        for _ in range(3):
            graphs.warm_up(once)
        return graphs.record(once)


def milliseconds(step: Step, asked: argparse.Namespace, calls: int) -> float:
    """Of one call, the device's work included."""
    if asked.device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        step()
    if asked.device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start) / calls


def line(name: str, network: Network, members: int, memory_format: str, asked: argparse.Namespace) -> str:
    """A line of the table."""
    graphs = CudaGraphs(torch.device(asked.device)) if asked.graph else None
    steps = Ways(network, members, asked, memory_format).steps(graphs)
    calls = {way: max(1, int(1e3 * asked.seconds / milliseconds(step, asked, 1))) for way, step in steps.items()}
    turns = [{way: milliseconds(step, asked, calls[way]) for way, step in steps.items()} for _ in range(asked.turns)]
    if graphs is not None:
        graphs.drop()
    ratios = [f"{median(turn['alone'] / turn[way] for turn in turns):8.2f}" for way in ("grouped", "vmap")]
    alone = median(turn["alone"] for turn in turns)
    return f"{name:17} {members:3} {memory_format:13} {alone:9.2f} {' '.join(ratios)}"


def main() -> None:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="32")
    parser.add_argument("--graph", action="store_true", help="capture each step as a CUDA graph")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--members", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16], help="of plain")
    parser.add_argument("--formats", nargs="+", choices=tuple(FORMATS), default=list(FORMATS))
    parser.add_argument("--batch", type=int, default=128, help="images of a member")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each way in a turn; at least one step")
    asked = parser.parse_args()
    if asked.graph and asked.device != "cuda":
        parser.error("--graph needs --device cuda")
    set_up_process()
    torch.set_num_threads(asked.threads)
    print(facts(), f"load {load_average():.1f}", vars(asked), sep="\n")
    if asked.device == "cuda":
        print(torch.cuda.get_device_name(), torch.version.cuda, torch.backends.cudnn.version())
    print("network             S format        alone ms  grouped     vmap")
    lines = MNIST | dict(named(width, family) for width in asked.widths for family in ("cnn", "dwsep"))
    networks = {name: network_of(compose(overrides.split())) for name, overrides in lines.items()}
    for name, network in networks.items():
        for members in asked.members:
            for memory_format in asked.formats:
                print(line(name, network, members, memory_format, asked), flush=True)


if __name__ == "__main__":
    main()

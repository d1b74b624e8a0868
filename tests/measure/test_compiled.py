"""torch.compile beside eager execution."""

from collections.abc import Callable
from typing import Any

import torch

from dsbench.measure.probes import Inference, compile_seconds, compiled, compiler
from dsbench.measure.subject import random_batch
from dsbench.training.device import Compute

Subjects = Callable[..., Any]


def test_more_networks_and_shapes_than_torch_keeps_are_all_compiled(subject: Subjects, compute: Compute) -> None:
    """torch.compile's own limit is eight, and all networks start from the same code: three by three are more."""
    graphs = []

    def backend(graph: torch.fx.GraphModule, example: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    subjects = [subject(f"arch=mnist_7800_shallow width={width}") for width in range(1, 4)]
    with compiler(3 * len(subjects), backend):
        graphs.clear()
        for item in subjects:
            eager = Inference(item.module(), compute)
            other = compiled(eager, backend)
            for batch in (1, 2, 3):
                images, _ = random_batch(item.network, compute.device, batch)
                assert compile_seconds(other, images) > 0
                before = len(graphs)
                assert torch.equal(other.forward(images), eager.forward(images))
                assert len(graphs) == before  # the first call had compiled it
    assert len(graphs) == 9

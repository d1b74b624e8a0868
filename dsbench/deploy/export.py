"""From a torch module to an ONNX file."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from dsbench.network.layers import Shape
from dsbench.run.folder import write_atomically

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUT = "images", "logits"


def export(module: nn.Module, input_shape: Shape, path: Path) -> None:
    """Write `module` in evaluation mode to `path` in fp32: images (B, C, H, W) to logits (B, classes), for any B.

    `input_shape` is (channels, height, width). Batch norms are folded into the convolutions before them. The module
    stays as it is.
    """
    module = copy.deepcopy(module).cpu().float().eval()
    images = torch.zeros(2, *input_shape)  # two, because the exporter takes a batch of one for a constant
    with warnings.catch_warnings():
        # torch 2.13 asks itself a question in a way that it is about to drop.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        program = torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    write_atomically(path, model.SerializeToString(deterministic=True))


def _strip(model: ModelProto) -> None:
    """Leave out where in the source each node comes from, and inferred shapes: they double a small network's file."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")  # an empty one would be written

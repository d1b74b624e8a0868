"""A network in LiteRT (TensorFlow Lite): written straight from its description, in fp32 or in int8, and opened."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.deploy.lowering import Operator, lower
from dsbench.errors import InputError
from dsbench.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dsbench.network.description import Network
    from dsbench.network.layers import Shape

_SCHEMA_VERSION = 3
_ALIGNMENT_BYTES = 16  # of the weights in the file: runtimes read them in place
# An operator's options in the schema, where they are not named as it is.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
}
_WITHOUT_OPTIONS = ("RELU", "RELU6", "LOGISTIC", "TANH")


def write(network: Network, module: nn.Sequential, path: Path, calibration: Tensor | None = None) -> None:
    """Write the network with the weights of its `module` to `path`: images (N, H, W, C) to logits (N, classes).

    The file names a batch of one; runtimes resize it. The same weights give the same bytes. Raises InputError where the
    extra is not installed, and where TFLite lacks a layer.
    """
    write_atomically(path, serialised(lower(network, module), network.input_shape))


class Interpreter:
    """The network in the file `path` on `threads` threads of the CPU, through XNNPACK, as LiteRT runs it on phones.

    `prepared` brings images (B, C, H, W) into the form that `forward` computes logits (B, classes) from fastest.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.threads = threads
        self._interpreter = _litert("interpreter").Interpreter(str(path), num_threads=threads)
        self._input, self._output = self._details()

    def _details(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), as the network sees them, to logits (B, classes) in fp32."""
        import torch

        return torch.from_numpy(self.forward(self.prepared(images)))

    def prepared(self, images: Tensor) -> np.ndarray:
        """Images (B, C, H, W) as (B, H, W, C) in the file's numbers."""
        return np.ascontiguousarray(images.detach().cpu().float().permute(0, 2, 3, 1).numpy())

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Prepared images to logits (B, classes) in fp32."""
        interpreter = self._interpreter
        if images.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(self._input["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(self._input["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(self._output["index"])


def serialised(operators: list[Operator], image: Shape) -> bytes:
    """The file's bytes. `image` is (channels, height, width)."""
    return _File(operators, image).bytes()


class _File:
    """A model of the schema's while it is filled: activations first, in their order, then what is constant."""

    def __init__(self, operators: list[Operator], image: Shape) -> None:
        import flatbuffers

        self.schema = schema = _litert("schema_py_generated")
        self.builder = flatbuffers.Builder(1024)
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]  # the first is that of all tensors without one
        self.codes: dict[tuple[str, int], int] = {}
        self._tensor("images", (1, image[1], image[2], image[0]))
        for number, operator in enumerate(operators, 1):
            self._tensor("logits" if number == len(operators) else str(number), (1, *operator.shape))
        graph = schema.SubGraphT(name="main", inputs=[0], outputs=[len(operators)])
        graph.operators = [self._operator(number, operator) for number, operator in enumerate(operators, 1)]
        graph.tensors = self.tensors
        self.model = schema.ModelT(version=_SCHEMA_VERSION, subgraphs=[graph], buffers=self.buffers)
        self.model.operatorCodes = [self._code(name, version) for name, version in self.codes]

    def bytes(self) -> bytes:
        """The whole file."""
        self.builder.Finish(self.model.Pack(self.builder), b"TFL3")
        return bytes(self.builder.Output())

    def _tensor(self, name: str, shape: Shape, constant: np.ndarray | None = None) -> int:
        kind = "FLOAT32" if constant is None else constant.dtype.name.upper()
        tensor = self.schema.TensorT(name=name, shape=list(shape), type=getattr(self.schema.TensorType, kind))
        tensor.buffer = 0 if constant is None else len(self.buffers)
        if constant is not None:
            self.buffers.append(_aligned(self.schema, constant))
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _operator(self, number: int, operator: Operator) -> Any:
        schema, inputs = self.schema, list(operator.inputs)
        for name, constant in (("weights", operator.weights), ("bias", operator.bias)):
            if constant is not None:
                inputs.append(self._tensor(f"{number} {name}", constant.shape, constant.astype(np.float32)))
        if operator.constant is not None:
            inputs.append(self._tensor(f"{number} operand", operator.constant.shape, operator.constant))
        code = self.codes.setdefault((operator.name, 1), len(self.codes))
        out = schema.OperatorT(opcodeIndex=code, inputs=inputs, outputs=[number])
        if operator.name not in _WITHOUT_OPTIONS:
            name = _OPTIONS.get(operator.name, f"{operator.name.title().replace('_', '')}Options")
            options = getattr(schema, f"{name}T")()
            for field, value in operator.options.items():
                setattr(options, field, getattr(schema.Padding, value) if field == "padding" else value)
            if hasattr(options, "fusedActivationFunction"):
                options.fusedActivationFunction = getattr(schema.ActivationFunctionType, operator.fused)
            out.builtinOptionsType, out.builtinOptions = getattr(schema.BuiltinOptions, name), options
        return out

    def _code(self, name: str, version: int) -> Any:
        number = getattr(self.schema.BuiltinOperator, name)
        old = min(number, self.schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)  # was a byte once
        return self.schema.OperatorCodeT(deprecatedBuiltinCode=old, builtinCode=number, version=version)


def _aligned(schema: Any, constant: np.ndarray) -> Any:
    """A buffer that is written at a multiple of _ALIGNMENT_BYTES, which the schema's own code does not see to."""
    content = constant.astype(constant.dtype.newbyteorder("<")).tobytes()

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> int:  # noqa: N802, the schema's name
            builder.StartVector(1, len(content), _ALIGNMENT_BYTES)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    return Aligned()


def _litert(module: str) -> Any:
    """A module of LiteRT's package."""
    try:
        return import_module(f"ai_edge_litert.{module}")
    except ModuleNotFoundError:
        raise InputError("no ai_edge_litert here, which TFLite needs: pip install 'dsbench[edge]'") from None

"""What others count in the built module: the referees of dsbench.network.cost."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from dsbench.network.description import Network

# fvcore counts these too; dsbench's budgets, like the literature's, are of convolutions and linear layers only.
LEFT_OUT = ("batch_norm",)


@dataclass(frozen=True)
class Counted:
    """MACs and activations of one image by fvcore; parameters and buffer elements that the torch module holds."""

    macs: int
    acts: int
    params: int
    buffers: int


def count(network: Network) -> Counted:
    """Build `network` with real weights and count what is there.

    Activations, pooling and sums have no MACs in fvcore either, and the empty path of an identity shortcut is a
    module that computes nothing: its remarks on these are silenced.
    """
    from dsbench.torchvision_ops import ensure

    ensure()
    with warnings.catch_warnings():
        # fvcore imports torchvision and uses torch.jit, which torch now calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import torch
        from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

        from dsbench.network.build import build

        module = build(network, seed=0).eval()
        image = torch.zeros(1, *network.input_shape)
        macs, acts = FlopCountAnalysis(module, image), ActivationCountAnalysis(module, image)
        for analysis in (macs, acts):
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        operators = macs.by_operator()
        activations = int(acts.total())
    return Counted(
        int(sum(count for operator, count in operators.items() if operator not in LEFT_OUT)),
        activations,
        sum(p.numel() for p in module.parameters()),
        sum(b.numel() for b in module.buffers()),
    )

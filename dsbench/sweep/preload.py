"""Imported once by the server that a sweep's processes are forked from; starts no thread, computes nothing."""

from dsbench import torchvision_ops

torchvision_ops.ensure()

import wandb.sdk.launch  # noqa: E402, F401

import dsbench.cli.run  # noqa: E402
import dsbench.run.execute  # noqa: E402, F401

"""Imported once by the server that a sweep's processes are forked from; starts no thread, computes nothing."""

import gc

from dsbench import torchvision_ops

torchvision_ops.ensure()

import pandas  # noqa: E402, F401  # which W&B imports for every table
import wandb.sdk.launch  # noqa: E402, F401

import dsbench.run.train  # noqa: E402
import dsbench.sweep.launch.job  # noqa: E402, F401
from dsbench import provenance  # noqa: E402

for facts in (provenance.versions, provenance.git_sha, provenance.source_sha256):  # kept, and the same for every run
    facts()

gc.collect()
gc.freeze()  # a collection in a forked process would else touch, and so copy, every object of these modules: 0.4 s

"""A device whose memory runs out within a run, put into the run's process by Hydra's own callbacks."""

from __future__ import annotations

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

MESSAGE = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB, 1.00 MiB of it free. "
    "See documentation for Memory Management"
)


class RunningOut(Callback):
    """Of the runs of one `width` on `device`; on cuda by little memory, else by the error, in a real step's place."""

    def __init__(self, width: int, device: str) -> None:
        self.width, self.device = width, device

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra in the process of the run, before it plans."""
        if config.width == self.width:
            run_out(self.device)


def run_out(device: str) -> None:
    """From now on the device has no memory for what this process asks for."""
    import torch

    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(1e-5)
        return

    def refuse(*_: Any) -> None:
        raise torch.OutOfMemoryError(MESSAGE)

    torch.nn.Conv2d.forward = refuse  # type: ignore[method-assign, assignment]

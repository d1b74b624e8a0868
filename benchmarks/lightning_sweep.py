"""A sweep the usual way: a Hydra application over Lightning, its jobs one after the other in one process.

python lightning_sweep.py -m seed=range(0,8) images=FOLDER epochs=2 ... trains, validates after each epoch, tests the
last weights and writes the test accuracy of each job; images of one at a time, default callbacks, as in
lightning_loop.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hydra
import torch
from hydra.core.config_store import ConfigStore
from lightning_loop import Classifier, Images, loader, pl
from omegaconf import MISSING
from recipes import RECIPES


@dataclass
class Job:
    """One run; `images` is a folder of prepared arrays, `precision` Lightning's."""

    images: str = MISSING
    case: str = "mnist_7800/cnn"
    epochs: int = 2
    seed: int = 0
    threads: int = 2
    workers: int = 0
    precision: str = "32-true"


ConfigStore.instance().store(name="job", node=Job)


@hydra.main(version_base=None, config_name="job")
def main(job: Job) -> float:
    """One job; returns the test accuracy."""
    torch.set_num_threads(job.threads)
    pl.seed_everything(job.seed, workers=True)
    recipe = RECIPES[job.case]
    train, test = (Images(Path(job.images), part) for part in ("train", "test"))
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=job.epochs,
        precision=job.precision,
        default_root_dir=hydra.core.hydra_config.HydraConfig.get().runtime.output_dir,
    )
    classifier = Classifier(recipe)
    trainer.fit(classifier, loader(train, recipe, job.workers, shuffle=True), loader(test, recipe, job.workers))
    (metrics,) = trainer.test(classifier, loader(test, recipe, job.workers))
    folder = Path(hydra.core.hydra_config.HydraConfig.get().runtime.output_dir)
    (folder / "test_acc.txt").write_text(f"{metrics['test/acc']}\n")
    return metrics["test/acc"]


if __name__ == "__main__":
    main()

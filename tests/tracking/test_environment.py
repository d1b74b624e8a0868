"""What other tools set in the environment decides nothing: notebooks, W&B's agents, launchers of several processes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.figures import style
from dsbench.tracking.server import own_environment, say_unheard

OTHERS = {
    "MPLBACKEND": "module://no_such_package.backend_inline",  # as a notebook sets it, for an environment without it
    **{
        "WANDB_SWEEP_ID": "s1",
        "WANDB_RUN_ID": "other",
        "WANDB_NAME": "n",
        "WANDB_PROJECT": "p",
        "WANDB_RESUME": "must",
    },
    **{"WANDB_RUN_GROUP": "g", "WANDB_TAGS": "a,b", "WANDB_JOB_TYPE": "j", "WANDB_SERVICE": "3-1-unix-/nowhere"},
    **{"MASTER_ADDR": "10.1.1.1", "MASTER_PORT": "1", "RANK": "3", "LOCAL_RANK": "2", "WORLD_SIZE": "8"},
    **{"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_PROCID": "3", "SLURM_LOCALID": "2", "SLURM_JOB_NAME": "train"},
    **{"PL_GLOBAL_SEED": "5", "PL_TRAINER_MAX_EPOCHS": "9", "PL_TRAINER_DEVICES": "3"},
}


@pytest.mark.thorough
def test_a_sweep_among_the_variables_of_other_tools_is_the_same_sweep(
    overrides: Callable[[str], list[str]],
    outputs: Path,
    trained: Callable[..., dict[str, Any]],
    inspected: Callable[..., Any],
) -> None:
    """It is trained, drawn and mirrored under its own id, and the same network learns the same."""
    line = "model=cnn arch=mnist_7800_shallow width=2 train.max_epochs=1"
    given = ["logger=wandb" if override == "logger=csv" else override for override in overrides(line)]
    given += ["seeds=1", "bench_minutes=0"]
    command = [
        sys.executable,
        "-c",
        "from dsbench.cli.hydra import sweep; sweep()",
        "-m",
        *given,
    ]
    ended = subprocess.run(command, env=os.environ | OTHERS, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("not heard: WANDB_JOB_TYPE, WANDB_NAME, WANDB_PROJECT, ") == 1
    (file,) = (outputs / "runs").glob("*/result.json")
    record = json.loads(file.read_text())
    assert (record["status"], record["epochs"], record["ranks"]) == ("done", 1, None)
    assert list((outputs / "sweeps").glob("*/report.html"))
    (folder,) = (outputs / "wandb").glob(f"offline-run-*-{record['run_id']}")
    (run,) = (entry["run"] for entry in inspected(records=True, folder=folder) if entry["type"] == "run")
    assert (run["run_id"], run["project"], run["display_name"]) == (record["run_id"], "dsbench", "cnn w2 s0")
    assert run["tags"] == ["cnn", "mnist5k", run["run_group"]]
    assert (run["job_type"], run.get("sweep_id")) == ("train", None)
    assert trained(f"{line} force=true")["test_acc"] == record["test_acc"]  # without those variables


def test_wandb_sees_account_and_server_alone_and_the_environment_is_as_it_was_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = {"WANDB_API_KEY": "x" * 40, "WANDB_ENTITY": "me", "WANDB_BASE_URL": "https://w.example"}
    for name, value in (heard | OTHERS | {"WANDB_MODE": "online"}).items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with own_environment("offline"):
        seen = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
        os.environ["WANDB_SERVICE"] = "ours"
    folders = {f"WANDB_{name}_DIR": os.environ[f"WANDB_{name}_DIR"] for name in ("DATA", "CACHE", "CONFIG")}
    assert seen == {**heard, **folders, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    assert dict(os.environ) == before | {"WANDB_SERVICE": "ours"}


def test_what_is_not_heard_is_said_once_and_by_no_process_of_a_sweep(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("dsbench"), "propagate", True)
    monkeypatch.setenv("WANDB_NOTES", "of another")
    monkeypatch.setenv("DSBENCH_N_JOBS", "2")
    say_unheard()
    assert not caplog.messages
    monkeypatch.delenv("DSBENCH_N_JOBS")
    say_unheard()
    say_unheard()
    said = "not heard: WANDB_NOTES; runs have ids and names of their own, logger.* says the rest"
    assert caplog.messages == [said]


def test_drawing_leaves_the_backend_of_a_notebook_as_it_is() -> None:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcParams["backend"] = "svg"
        style.rendered(style.canvas(2, 2, "a title"), "png")
        assert matplotlib.rcParams["backend"] == "svg"

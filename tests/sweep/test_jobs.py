"""Jobs on their way to their processes."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext

from dsbench.cli.hydra import job
from dsbench.config import schema
from dsbench.config.schema import conf_dir
from dsbench.sweep.composition import Composer
from dsbench.sweep.launch.jobs import Calls


def test_jobs_are_composed_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[list[str]] = []
    original = Composer.__call__

    def counted(self: Composer, overrides: Any) -> Any:
        composed.append(list(overrides))
        return original(self, overrides)

    monkeypatch.setattr(Composer, "__call__", counted)
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("sweep", return_hydra_config=True)
        context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
        calls = Calls(context, job, config, [["width=3"], ["width=4", "threads=7"]], 10, threads=2)
        assert (len(calls), composed) == (2, [])
        second = calls[1].config
        assert (second.width, second.threads, second.hydra.job.num) == (4, 7, 11)
        assert calls[1].config is second
        assert composed == [["width=4", "threads=7"]]
        assert calls[0].config.threads == 2

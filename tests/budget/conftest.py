"""A folder of YAML files with an architecture that no width changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dsbench.config.compose import Composed, compose


@pytest.fixture
def fixed(tmp_path: Path) -> Callable[..., Composed]:
    """A configuration by its overrides, of an architecture `fixed` of one conv, whose options in YAML are given."""

    def composed(conv: str, overrides: str = "") -> Composed:
        (tmp_path / "arch").mkdir(exist_ok=True)
        layers = f"layers: [{{conv: {{{conv}}}}}, global_avg_pool, {{linear: classes}}]\n"
        (tmp_path / "arch" / "fixed.yaml").write_text(layers)
        return compose(["arch=fixed", *overrides.split()], str(tmp_path))

    return composed

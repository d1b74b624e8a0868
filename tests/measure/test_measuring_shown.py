"""What measuring shows in a terminal is one line, and nothing elsewhere."""

from __future__ import annotations

import os
import sys

import pytest

from dsbench.measure.progress import Measuring


def test_a_terminal_has_one_line_that_changes_and_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Measuring(4) as say:
        say("training step")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((44, 24)))
    with Measuring(4, within=60.0) as say:
        for step in range(6):  # more than there should be
            say(f"repeat {step}, training step and what belongs to it")
    printed = capsys.readouterr().err
    assert "\n" not in printed
    shown = [part.removeprefix("\x1b[K") for part in printed.split("\r") if part]
    assert all(len(line) < 44 for line in shown)
    assert [line[:22].count("#") for line in shown] == [0, 0, 5, 10, 15, 20, 20, 0]
    assert shown[0] == "[--------------------] at most 1 min 00 ..."
    assert shown[-1] == ""

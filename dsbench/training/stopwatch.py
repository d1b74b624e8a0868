"""A clock that can be paused."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Adds up the seconds during which it runs, to those it is given; it stands until it is started."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._counted = seconds
        self._since: float | None = None

    def start(self) -> None:
        """Run from now on."""
        self._since = perf_counter()

    def stop(self) -> None:
        """Stand from now on."""
        self._counted, self._since = self.seconds(), None

    def seconds(self) -> float:
        """The seconds so far."""
        return self._counted if self._since is None else self._counted + perf_counter() - self._since

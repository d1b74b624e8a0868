"""One file from one host, given up after seconds when the host does not answer."""

import queue
import threading
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from dsbench.data.request import Report

ANSWER_SECONDS = 8.0  # how long a host may take to answer, its name looked up included, or stand still afterwards


def fetch(url: str, path: Path, report: Report, answer_seconds: float = ANSWER_SECONDS) -> None:
    """Writes what ``url`` holds to ``path``. Raises OSError, TimeoutError included, when the host does not answer."""
    with _open(url, answer_seconds) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 18):
            file.write(piece)
            report(f"downloading {path.name}", file.tell() / size if size else None)
        if size and file.tell() != size:
            raise OSError("the download broke off")


def _open(url: str, seconds: float) -> Any:
    """Opens ``url`` in a thread of its own: no socket timeout covers a name server that is silent."""
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def connect() -> None:
        request = Request(url, headers={"User-Agent": "pytorch/vision"})
        try:
            outcome.put(urlopen(request, timeout=seconds))
        except Exception as error:  # handed to the waiting thread, whatever it is
            outcome.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer

"""Files written so that a crash at any moment leaves the old one or the new one, never half."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("dsbench")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file to, which then replaces `path` in one step, once it is safe on the disk.

    Where writing fails (a full disk) the old file stays, and nothing else. Its mode is that of any new file (umask).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # a file system whose folders cannot be synchronised
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else a power cut may take the new name
        finally:
            os.close(folder)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file at `path` by `content` in one step; the old one stays where writing fails (a full disk)."""
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)


def set_aside(path: Path, how: str, remedy: str) -> None:
    """Rename the damaged file `path` so that nobody reads it again, and say so, with what happens instead."""
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    os.replace(path, aside)
    log.warning("%s is damaged (%s) and lies in %s now; %s", path, how, aside.name, remedy)

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
def replacing(path: Path, at_once: bool = True) -> Iterator[Path]:
    """A path beside `path` to write a file to, which then replaces `path` in one step, once it is safe on the disk.

    It is left to the system when that is where not `at_once`: only a power cut, no crash, could take such a file.
    Where writing fails (a full disk) the old file stays, and nothing else. Its mode is that of any new file (umask).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        if at_once:
            synchronise(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if at_once:
        with suppress(OSError):  # a file system whose folders cannot be synchronised
            synchronise(path.parent)  # else a power cut may take the new name


def synchronise(path: Path) -> None:
    """Wait until a file, or what a folder lists, is safe on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: str | bytes, at_once: bool = True) -> None:
    """Replace the file at `path` by `content` in one step; the old one stays where writing fails (a full disk).

    `at_once`: see replacing.
    """
    with replacing(path, at_once) as temporary:
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

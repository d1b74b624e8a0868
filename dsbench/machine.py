"""What a machine lets this process have: cores and memory, by its hardware, its control groups and its limits.

A container with 2 CPUs and 4 GiB on a large machine sees all of that machine's; what it may use stands in the control
groups that it is in, of version 1 or 2, and of those above them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_UNLIMITED_BYTES = 1 << 60  # from which on version 1 means that there is no limit


@dataclass(frozen=True)
class Memory:
    """Bytes that this process and its children may have at the most, and of these what nothing else uses now."""

    total: int
    available: int


def cores(root: Path = _ROOT) -> int:
    """The cores that this process may keep busy: those it may run on, or as many as its time is worth.

    `root` is the folder in which proc and sys are looked for.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([count, *(max(1, int(share)) for share in _quotas(root))])


def memory(root: Path = _ROOT) -> Memory:
    """The memory of this machine, control groups and limits included; `root` as for `cores`."""
    found = _installed(root)
    limits = [found, *_of_groups(root), *_of_process(found.available)]
    return Memory(min(limit.total for limit in limits), max(0, min(limit.available for limit in limits)))


def _installed(root: Path) -> Memory:
    """All of the hardware's."""
    text = _text(root / "proc/meminfo")
    if text is None:  # not Linux
        import psutil

        found = psutil.virtual_memory()
        return Memory(found.total, found.available)
    kibibytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+([0-9]+) kB$", text, re.MULTILINE)}
    return Memory(kibibytes["MemTotal"] << 10, kibibytes["MemAvailable"] << 10)


def _of_process(available: int) -> Iterator[Memory]:
    """What `ulimit -v` leaves."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield Memory(limit, min(limit, available))


def _of_groups(root: Path) -> Iterator[Memory]:
    """What each control group leaves; of what it uses, files that were read can be dropped."""
    for folder, version in _groups(root, "memory"):
        limit = _number(folder / ("memory.limit_in_bytes" if version == 1 else "memory.max"))
        if limit is None or limit >= _UNLIMITED_BYTES:
            continue
        used = _number(folder / ("memory.usage_in_bytes" if version == 1 else "memory.current")) or 0
        name = "total_inactive_file" if version == 1 else "inactive_file"
        dropped = re.search(rf"^{name} ([0-9]+)$", _text(folder / "memory.stat") or "", re.MULTILINE)
        yield Memory(limit, limit - used + (int(dropped[1]) if dropped else 0))


def _quotas(root: Path) -> Iterator[float]:
    """How many cores' time each control group has."""
    for folder, version in _groups(root, "cpu"):
        if version == 1:
            quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        else:
            quota, period = map(_integer, ((_text(folder / "cpu.max") or "max") + " 0").split()[:2])
        if quota is not None and quota > 0 and period:
            yield quota / period


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """The folders of the control groups that this process is in for `controller`, from its own up, and their version.

    Within a container the groups above its own may be out of sight; what the mount shows is all there is to read.
    """
    text = _text(root / "proc/self/cgroup") or ""
    paths = {
        names: path for _, names, path in (line.split(":", 2) for line in text.splitlines() if line.count(":") > 1)
    }
    for line in (_text(root / "proc/self/mountinfo") or "").splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = [*system.split(" "), "", ""][:3]
        if kind == "cgroup2":
            version, names = 2, ""
        elif kind == "cgroup" and controller in options.split(","):
            version, names = 1, next((names for names in paths if controller in names.split(",")), "")
        else:
            continue
        if names not in paths:
            continue
        shown, place = (_unescaped(field) for field in mount.split(" ")[3:5])
        top, inner, above = root / place.lstrip("/"), Path(paths[names].lstrip("/")), Path(shown.lstrip("/"))
        if inner.is_relative_to(above):
            inner = inner.relative_to(above)
        own = top if ".." in inner.parts else top / inner  # out of sight, of a mount made in another container
        yield from ((folder, version) for folder in (own, *own.parents) if folder.is_relative_to(top))


def _unescaped(field: str) -> str:
    r"""A path of mountinfo, where a blank is \040."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int | None:
    return _integer(_text(path))


def _integer(text: str | None) -> int | None:
    """The number; None for `max`, and where there is none."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None

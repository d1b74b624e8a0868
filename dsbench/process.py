"""Settings of the whole process and of those that it starts: speed, the end, encodings, signals, imports, sockets."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import platform
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_SOCKET_FOLDER = 70  # bytes of a path, so that 32 more of multiprocessing's fit what a socket's may have, 104 on macOS
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
# <malloc.h> of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_TRIM_BYTES = 2**31 - 1


def wait_briefly() -> None:
    """Have OpenMP's threads sleep soon while they wait; call before torch is imported. The environment wins.

    By default they spin for milliseconds, so beside any other busy process a thread that others wait for loses its core
    to their waiting, and a run can take ten times as long. Not to spin at all halves the speed of small networks on an
    idle machine. Three thousand turns cost a tenth there, and little beside others.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def draw_into_files() -> None:
    """Have matplotlib draw into files alone, whatever MPLBACKEND says: it refuses to be imported where that is wrong.

    A notebook sets it for its own cells and for every process that it starts, whose packages need not know it.
    """
    os.environ["MPLBACKEND"] = "agg"


def end_quickly() -> None:
    """Have the interpreter end without its last collections: with Lightning imported they take more than a second."""
    atexit.register(gc.freeze)


def read_names_as_utf8() -> None:
    """Start this process anew where arguments and names of files would be read in another encoding, as in LC_ALL=C.

    What is typed can then be written into any file; standard output keeps its encoding.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Processes that are started within are not ended by the terminal's Ctrl-C, which is for this one to pass on."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def without_main() -> Iterator[None]:
    """Processes that multiprocessing starts within do not import the script or notebook that this one runs, again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def errors_into(path: Path) -> Iterator[None]:
    """Within, what this process writes on standard error goes into the file `path`, that of C++ libraries too."""
    sys.stderr.flush()
    before = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)


def import_path() -> dict[str, str]:
    """Environment variables with which a Python process imports from where this one does, and from no other folder.

    Left to itself, one that is started by `-c` or `-m`, as such processes are, looks into the current folder first: a
    `random.py` there would take the place of the library's.
    """
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def importing_alike() -> Iterator[None]:
    """Python processes that are started within have `import_path`; theirs then have it unless `work_in` says else."""
    before = dict(os.environ)
    os.environ.update(import_path())
    try:
        yield
    finally:
        work_in(before)


def work_in(environment: Mapping[str, str]) -> None:
    """Have the environment variables `environment`, and of those of `import_path` no others."""
    for name in import_path().keys() - environment.keys():
        os.environ.pop(name, None)
    os.environ.update(environment)


def keep_sockets_short() -> None:
    """Have multiprocessing keep its sockets in a folder whose path leaves room for their names, whatever TMPDIR is.

    Such as the folders that clusters give jobs: a socket's path has 107 characters at the most. Later calls do nothing.
    """
    from multiprocessing.util import get_temp_dir

    before = tempfile.tempdir
    tempfile.tempdir = short_folder()
    try:
        get_temp_dir()  # made now, and kept
    finally:
        tempfile.tempdir = before


def short_folder() -> str:
    """The folder for temporary files or, where its path is too long for a socket's, another that can be written to."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= _SOCKET_FOLDER:
        return usual
    return next((folder for folder in _SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), usual)


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep freed memory; True where it did. Elsewhere (macOS, musl) a no-op.

    By default every activation above 128 KiB (a limit that can be raised to 32 MiB) is mapped at its allocation and
    unmapped when freed, so each training step faults all of its pages in again. With this nothing is mapped: fp32 steps
    of small networks take about 0.6 of the time, and of networks with activations above 32 MiB 0.7 to 0.85 of what they
    take at that limit, for 2 to 7 % more memory (a single wide slot alone: up to 1.8 times as much).
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)) and bool(mallopt(_M_MMAP_MAX, 0))


@contextmanager
def scratch_for_hydra() -> Iterator[None]:
    """Within, conf/train.yaml names a folder for Hydra's own files that is gone afterwards."""
    name = "DSBENCH_HYDRA_DIR"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            del os.environ[name]
            if before is not None:
                os.environ[name] = before

"""What memory importing and training a large set takes beyond a small one.

python benchmarks/image_memory.py [GB] [SIDE]

JPEG files are generated below a folder of their own (--folder DIR keeps it): a few hundred images, and as many as come
to GB gigabytes of pixels (2) at SIDE pixels a side (128). Each set is imported and then trained on for one epoch, each
in a process of its own, whose memory is read every 20 ms: the highest anonymous memory (RssAnon of /proc/PID/status),
which is what a process has to itself. Pages of the mapped set count in its resident size too, but they are the file's,
shared by all processes, and the kernel takes them back when it needs the memory.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SMALL = 500  # images
LIMIT_MB = 500  # that a large set may take beyond a small one
CLASSES = 10


def generate(folder: Path, images: int, side: int) -> None:
    """Files of noise around a pattern a class, in a folder a class."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(40, 216, (CLASSES, side // 8, side // 8, 3))
    for number in range(images):
        target = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = patterns[number % CLASSES] + rng.normal(0, 30, patterns.shape[1:])
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize((side, side)).save(target)


def peak_mb(command: list[str], folder: Path) -> tuple[float, float]:
    """The highest anonymous memory of a command in MB, and its seconds; it runs in `folder`."""
    start, highest = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = re.search(r"RssAnon:\s+(\d+)", status.read_text())
            highest = max(highest, int(found[1]) if found else 0)
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return highest / 1000, time.perf_counter() - start


def measure(folder: Path, gigabytes: float, side: int) -> None:
    """Print a table; exit code 1 where the large set takes too much."""
    sizes = {"small": SMALL, "large": int(gigabytes * 1e9 / (3 * side * side))}
    peaks: dict[tuple[str, str], float] = {}
    print(f"{'set':8}{'images':>9}{'pixels':>10}   {'step':8}{'peak':>10}{'time':>9}")
    for name, images in sizes.items():
        if not (folder / name).exists():
            generate(folder / name, images, side)
        dsbench = [str(Path(sys.executable).parent / "dsbench")]
        training = (
            f"data={name} arch=plain_128 width=4 train.max_epochs=1 threads=1 logger=csv force=true progress=none"
        )
        steps = {
            "import": [*dsbench, "data", "import", name, "--size", str(side), "--force"],
            "train": [*dsbench, "train", *training.split()],
        }
        for step, command in steps.items():
            peaks[name, step], seconds = peak_mb(command, folder)
            pixels = images * 3 * side * side / 1e6
            print(f"{name:8}{images:>9,}{pixels:>7,.0f} MB   {step:8}{peaks[name, step]:>7,.0f} MB{seconds:>7,.0f} s")
    more = {step: peaks["large", step] - peaks["small", step] for step in ("import", "train")}
    print(", ".join(f"{step}: {extra:+,.0f} MB" for step, extra in more.items()), f"(limit {LIMIT_MB} MB)")
    if max(more.values()) > LIMIT_MB:
        raise SystemExit(1)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gigabytes", nargs="?", type=float, default=2.0)
    parser.add_argument("side", nargs="?", type=int, default=128)
    parser.add_argument("--folder", type=Path, help="where the images are generated; kept")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        measure(arguments.folder.resolve(), arguments.gigabytes, arguments.side)
    else:
        with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
            measure(Path(folder), arguments.gigabytes, arguments.side)


if __name__ == "__main__":
    main()

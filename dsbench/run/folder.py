"""The files of a run, written so that a crash at any moment leaves the old file or the new file, never half of it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError
from dsbench.files import synchronise, write_atomically
from dsbench.run.record import FINAL, Record, Status
from dsbench.training.history import Epoch

if TYPE_CHECKING:
    import numpy as np

RUN_ID = re.compile("[0-9a-f]{12}")


def _always() -> None:
    """Permits whatever it is asked for; no lambda, so that folders can be sent to other processes."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, `outputs/runs/<run_id>`.

    `permit` is called before a record is written, and raises where this process may not.
    """

    path: Path
    permit: Callable[[], None] = field(default=_always, compare=False, repr=False)

    @property
    def outputs(self) -> Path:
        """The folder of all results, where trackers have their files too."""
        return self.path.resolve().parent.parent

    @property
    def result_file(self) -> Path:
        """The record: what the run is, its status and, once it has ended, its result."""
        return self.path / "result.json"

    @property
    def confusion_file(self) -> Path:
        """Test images by true (rows) and predicted class (columns), of a run that has a result."""
        return self.path / "confusion.json"

    @property
    def correct_file(self) -> Path:
        """Which test images the run's result got right: a line with their number, then a bit an image, packed."""
        return self.path / "test_correct.bits"

    @property
    def metrics_file(self) -> Path:
        """A row an epoch."""
        return self.path / "metrics.csv"

    @property
    def config_file(self) -> Path:
        """The full configuration."""
        return self.path / "config.yaml"

    @property
    def log_file(self) -> Path:
        """All messages of the run, and the traceback of an error."""
        return self.path / "run.log"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """The weights of the epoch with the highest validation accuracy."""
        return self.path / "checkpoints" / "best.ckpt"

    def create(self) -> None:
        """Make the folder. Raises InputError, and takes back what it made, where that cannot be written to."""
        innermost = self.last.parent
        new = [path for path in (innermost, *innermost.parents) if not path.exists()]
        try:
            innermost.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            for path in new:
                if path.is_dir():
                    path.rmdir()
            raise InputError(f"cannot write to {self.path}: {error.strerror}; set outputs= to another folder") from None

    @property
    def previous(self) -> Path:
        """Where a finished run's files lie while it is trained again."""
        return self.path / "previous"

    @property
    def _of_a_training(self) -> tuple[Path, ...]:
        """The files of a training but for its log, in the order in which they are removed: the record last."""
        return (self.last, self.best, self.metrics_file, self.confusion_file, self.correct_file, self.result_file)

    def set_aside(self) -> None:
        """Move what an earlier training left, but for its log, to `previous`; the record goes last."""
        self.drop_previous()
        self.previous.mkdir()
        for file in self._of_a_training:
            if file.exists():
                os.replace(file, self.previous / file.name)

    def discard(self) -> None:
        """Delete what an attempt without a result left, but for its log; the record goes last."""
        for file in self._of_a_training:
            file.unlink(missing_ok=True)

    def drop_previous(self) -> None:
        """Delete the earlier training, now that there is a newer result."""
        shutil.rmtree(self.previous, ignore_errors=True)

    def result(self) -> Record | None:
        """The record, or None where there is none. Raises InputError for one that is damaged or another run's."""
        try:
            record = Record.from_json(self.result_file.read_bytes())
            if RUN_ID.fullmatch(self.path.name) and record.run_id != self.path.name:
                raise ValueError(f"it is the record of run {record.run_id}")
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"the record {self.result_file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"the record {self.result_file} is damaged: {error}; delete it to train anew") from None

    def confusion(self) -> list[list[int]] | None:
        """The confusion matrix of the run's result, None where there is none. Raises InputError for a damaged file."""
        try:
            matrix, file = json.loads(self.confusion_file.read_bytes()), self.confusion_file
        except FileNotFoundError:
            record = self.result()  # where older records have it
            matrix, file = None if record is None else record.more.get("test_confusion"), self.result_file
            if matrix is None:
                return None
        except ValueError as error:
            raise InputError(f"the confusion matrix {self.confusion_file} is damaged: {error}") from None
        if not _counts_images(matrix):
            raise InputError(
                f"the confusion matrix {file} is damaged: it does not count images, a row and a column a class"
            )
        return matrix

    def correct(self) -> np.ndarray | None:
        """Which test images the run's result got right: 0 or 1 an image (images,), in the order of the test set.

        None where there is no file. Raises InputError for one that is damaged.
        """
        import numpy as np

        try:
            head, _, packed = self.correct_file.read_bytes().partition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"{self.correct_file} cannot be read: {error.strerror}") from None
        images = int(head) if head.isdigit() and len(head) < 20 else 0
        if not images or len(packed) != -(-images // 8):
            raise InputError(f"{self.correct_file} is damaged: it is not a number of images and as many bits")
        bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
        if bits[images:].any():
            raise InputError(f"{self.correct_file} is damaged: it has bits of more than its {images:,} images")
        return bits[:images]

    def write_result(
        self,
        record: Record,
        confusion: Sequence[Sequence[int]] | None = None,
        correct: Sequence[bool] | None = None,
    ) -> None:
        """Write `record`, and before it what belongs to its result: what stands in the record is there.

        All of it is safe on the disk once there is a result; until then a run that goes on writes the rest again.

        `confusion` is the matrix of the test images, `correct` says of each, in the order of the test set, whether it
        was got right.
        """
        self.permit()
        if confusion is not None:
            rows = ",\n ".join(json.dumps(list(row)) for row in confusion)
            write_atomically(self.confusion_file, f"[{rows}]\n", at_once=False)
        if correct is not None:
            import numpy as np

            bits = np.packbits(np.asarray(correct, dtype=bool)).tobytes()
            write_atomically(self.correct_file, f"{len(correct)}\n".encode() + bits, at_once=False)
        if record.status in FINAL:
            for file in (self.config_file, self.metrics_file, self.confusion_file, self.correct_file):
                if file.exists():
                    synchronise(file)
        write_atomically(self.result_file, record.to_json())

    def end_record(self, status: Status, error: str) -> Record | None:
        """Write into a record of status `running` how the run ended; returns the record as it is then, if there is one.

        Whoever calls it holds the run's lock.
        """
        record = self.result()
        if record is not None and record.status == Status.RUNNING:
            record = record.ended(status, error)
            self.write_result(record)
        return record

    def write_history(self, history: Sequence[Epoch]) -> None:
        """Write metrics.csv: a row an epoch, those of an interrupted attempt replaced."""
        self.permit()
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(Epoch.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_atomically(self.metrics_file, text.getvalue(), at_once=False)


def _counts_images(matrix: Any) -> bool:
    """Whether it is a square matrix of whole numbers, of one image at least."""
    rows = matrix if isinstance(matrix, list) else []
    square = all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    counts = [count for row in rows for count in row] if square else []
    return all(type(count) is int and count >= 0 for count in counts) and any(counts)

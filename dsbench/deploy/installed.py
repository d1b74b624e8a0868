"""Whether the packages of the `onnx` extra are there."""

from importlib.util import find_spec

from dsbench.errors import InputError

PACKAGES = ("onnx", "onnxruntime", "onnxscript")  # the last is what torch's exporter is written in


def lacking() -> str | None:
    """What is missing and how to get it, in one line; None where everything is there."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    return f"no {', '.join(missing)} here, which ONNX needs: pip install 'dsbench[onnx]'" if missing else None


def check_installed() -> None:
    """Raise InputError where a package is missing."""
    line = lacking()
    if line is not None:
        raise InputError(line)

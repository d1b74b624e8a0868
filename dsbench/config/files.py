"""Where the YAML files are."""

from pathlib import Path

import dsbench


def conf_dir() -> Path:
    """The folder of YAML files: inside the package where it is installed, beside it in a checkout."""
    package = Path(dsbench.__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def options(group: str) -> list[str]:
    """The choices of a group of dsbench's own, those in subfolders included."""
    folder = conf_dir() / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))

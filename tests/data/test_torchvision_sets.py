import gzip
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
from tiny_set import idx, make_arrays, make_set

from dsbench import torchvision_ops
from dsbench.data import prepared, torchvision_sets
from dsbench.errors import InputError


def md5(content):
    return hashlib.md5(content).hexdigest()


def old_pickle(batch):
    """A pickle as Python 2 and an old numpy wrote it: integers for booleans, numpy.core for numpy._core."""
    content = pickle.dumps(batch, protocol=0)
    return content.replace(b"I00\n", b"I0\n").replace(b"I01\n", b"I1\n").replace(b"numpy._core", b"numpy.core")


@pytest.fixture
def datasets():
    torchvision_ops.ensure()
    from torchvision import datasets

    return datasets


@pytest.fixture
def cifar(datasets, monkeypatch):
    """A tiny set in the form of CIFAR-10 and its files, whose checksums torchvision is made to expect."""
    arrays = make_arrays((32, 32, 3), (6, 4), (2, 1))
    files = {"batches.meta": old_pickle({"label_names": ["cat", "dog"]})}
    for part, name in (("train", "data_batch_1"), ("test", "test_batch")):
        planar = arrays[f"x_{part}"].transpose(0, 3, 1, 2).reshape(-1, 3072)
        files[name] = old_pickle({"data": np.ascontiguousarray(planar), "labels": arrays[f"y_{part}"].tolist()})
    listed = {name: [name, md5(content)] for name, content in files.items()}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [listed["data_batch_1"]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [listed["test_batch"]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(files["batches.meta"])}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    dataset = make_set(arrays, torchvision_class="CIFAR10", torchvision_folder="cifar-10-batches-py")
    return dataset, files


@pytest.fixture
def mnist(datasets, monkeypatch, arrays):
    """A tiny set in the form of MNIST, its four files, and what their checksums are."""
    files = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        files[f"{name}-images-idx3-ubyte"] = idx(arrays[f"x_{part}"])
        files[f"{name}-labels-idx1-ubyte"] = idx(arrays[f"y_{part}"])
    monkeypatch.setattr(torchvision_sets, "MNIST_FILES", {name: md5(content) for name, content in files.items()})
    return make_set(arrays, torchvision_class="MNIST", torchvision_folder="MNIST/raw"), files


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A web server on this machine: the folder it serves, and its address."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "host"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def put(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def tar_of(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_cifar_files_of_torchvision_are_read_without_a_warning(tmp_path, cifar):
    dataset, files = cifar
    put(tmp_path / "cifar-10-batches-py", files)
    ready = prepared.prepare(dataset, tmp_path)
    assert ready.verified
    assert ready.source == str(tmp_path / "cifar-10-batches-py")


def test_mnist_files_of_torchvision_are_read(tmp_path, mnist):
    dataset, files = mnist
    put(tmp_path / "MNIST" / "raw", files)
    assert prepared.prepare(dataset, tmp_path).verified


def test_truncated_file_of_torchvision_is_named(tmp_path, mnist):
    dataset, files = mnist
    folder = tmp_path / "MNIST" / "raw"
    put(folder, {**files, "t10k-images-idx3-ubyte": files["t10k-images-idx3-ubyte"][:-1]})
    with pytest.raises(InputError) as error:
        prepared.prepare(dataset, tmp_path)
    damaged = folder / "t10k-images-idx3-ubyte"
    assert str(error.value) == f"{damaged} is damaged (wrong MD5); delete the folder {folder}, or complete it"


def test_missing_file_of_torchvision_is_named(tmp_path, cifar):
    dataset, files = cifar
    folder = tmp_path / "cifar-10-batches-py"
    put(folder, {name: content for name, content in files.items() if name != "test_batch"})
    with pytest.raises(InputError) as error:
        prepared.prepare(dataset, tmp_path)
    assert str(error.value).startswith(f"{folder / 'test_batch'} is missing; delete the folder")


def test_npz_comes_before_the_files_of_torchvision(tmp_path, mnist, put_npz):
    dataset, files = mnist
    put(tmp_path / "MNIST" / "raw", dict.fromkeys(files, b"damaged"))
    with pytest.raises(InputError):
        prepared.prepare(dataset, tmp_path)
    path = put_npz()
    assert prepared.prepare(dataset, tmp_path).source == str(path)


def test_cifar_is_downloaded_and_nothing_but_the_cache_is_left(tmp_path, cifar, datasets, host, monkeypatch):
    dataset, files = cifar
    folder, address = host
    archive = tar_of(files)
    (folder / "cifar-10-python.tar.gz").write_bytes(archive)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    root = tmp_path / "root"
    ready = prepared.prepare(dataset, root)
    assert ready.verified
    assert ready.source == "download of torchvision.datasets.CIFAR10"
    assert list(root.iterdir()) == [root / "prepared"]
    assert list((root / "prepared").iterdir()) == [root / "prepared" / "tiny"]


def test_archive_already_under_the_root_is_not_fetched_again(tmp_path, cifar, datasets, monkeypatch):
    dataset, files = cifar
    archive = tar_of(files)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:1/cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    assert prepared.prepare(dataset, tmp_path).verified


def test_damaged_archive_under_the_root_is_named(tmp_path, cifar):
    dataset, _ = cifar
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(b"half")
    with pytest.raises(InputError) as error:
        prepared.prepare(dataset, tmp_path)
    assert str(error.value) == f"{path} is damaged (wrong MD5); delete it and start again"


def test_mnist_comes_from_the_second_mirror_when_the_first_is_dead(tmp_path, mnist, datasets, host, monkeypatch):
    dataset, files = mnist
    folder, address = host
    archives = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    for name, content in archives.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/", address])
    monkeypatch.setattr(datasets.MNIST, "resources", [(name, md5(content)) for name, content in archives.items()])
    messages = []
    ready = prepared.prepare(dataset, tmp_path / "root", report=lambda message, _: messages.append(message))
    assert ready.verified
    assert messages.count("asking 127.0.0.1") == 5  # the dead mirror once, the other for each of the four files


def test_download_with_the_wrong_checksum_is_not_used(tmp_path, cifar, datasets, host, monkeypatch):
    dataset, _ = cifar
    folder, address = host
    (folder / "cifar-10-python.tar.gz").write_bytes(b"<html>Please log in</html>")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz has the wrong MD5"):
        prepared.prepare(dataset, tmp_path / "root")

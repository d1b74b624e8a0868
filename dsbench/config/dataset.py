"""The image set that a configuration names."""

from __future__ import annotations

from dsbench.config.schema import DataConfig
from dsbench.data import sets
from dsbench.data.sets import DataSet


def dataset_of(config: DataConfig) -> DataSet:
    """The set called `data.name`: one of dsbench's, or of the user's own as `data.own` describes it.

    Raises InputError.
    """
    own = config.own
    if own is None:
        return sets.get(config.name)
    from dsbench.data.own import own_set  # numpy takes a tenth of a second, which dsbench's sets can do without

    return own_set(config.name, own.image_shape, own.train_counts, own.test_counts, own.sha256)

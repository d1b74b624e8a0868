"""One seed a run, and from it unrelated seeds for everything that is drawn."""

import numpy as np


def derived(seed: int, *purpose: int) -> int:
    """A 63-bit seed that depends on `seed` and `purpose` alone and is unrelated to that of any other purpose.

    By numpy's SeedSequence, whose hash is fixed across versions and machines.
    """
    return int(np.random.SeedSequence((seed, *purpose)).generate_state(1, np.uint64)[0] >> np.uint64(1))

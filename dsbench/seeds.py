"""One seed a run, and from it unrelated seeds for everything that is drawn."""

import hashlib


def derived(seed: int, purpose: str, *numbers: int) -> int:
    """A 63-bit seed that depends on `seed`, `purpose` and `numbers` alone, unrelated to that of any other purpose."""
    text = f"{seed} {purpose} {' '.join(map(str, numbers))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1

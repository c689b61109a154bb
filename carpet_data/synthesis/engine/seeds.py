"""The one tree that all chance of synthesis comes from."""

from __future__ import annotations

import hashlib

import numpy as np

from carpet_data.errors import UsageError


def refuse_negative(seed: int) -> None:
    """Refuse a seed that no tree can grow from, before any work is done.

    Raises:
        UsageError: It is negative.
    """
    if seed < 0:
        raise UsageError(f"the seed {seed} is negative", hint="choose 0 or more")


def sequence(seed: int, *key: str | int) -> np.random.SeedSequence:
    """The seed sequence of a place in the tree.

    Args:
        seed: What the user gave, 0 or more.
        key: Names (hashes, class names, purposes) and numbers (k, attempt). A name enters by its SHA-256, so that
            neither its length nor its neighbours matter.
    """
    words: list[int] = []
    for part in key:
        if isinstance(part, int):
            words.append(part)
        else:
            digest = hashlib.sha256(part.encode(errors="surrogatepass")).digest()
            words += [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(words))


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """The generator of a place in the tree, see `sequence`."""
    return np.random.default_rng(sequence(seed, *key))

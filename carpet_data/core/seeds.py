"""The tree of seeds that all randomness comes from: the same place in the tree, the same numbers."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "sequence"]


def sequence(seed: int, *key: str | int) -> np.random.SeedSequence:
    """The seed sequence of a place in the tree.

    A seed is 0 or more; the key is names (hashes, class names, purposes) and numbers (k, attempt). A name enters by its
    SHA-256, so that neither its length nor its neighbors matter.
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
    """The generator of a place in the tree, see `sequence`.

    Examples:
        >>> generator(7, "hole", 3).random() == generator(7, "hole", 3).random()
        True
    """
    return np.random.default_rng(sequence(seed, *key))

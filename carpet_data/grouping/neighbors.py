"""Which pairs of images are worth comparing: nearest neighbors of their signatures, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 4
"""Number of neighbors that are compared whatever their distance."""

FURTHER = 12
"""Number of neighbors that are compared if their signatures correlate by CLOSE or more; in sets of no more images than
this, all pairs are compared."""

CLOSE = 0.5
TURNED_CLOSE = 0.7
"""A mirrored or turned copy keeps its signature, so that only clear cases need comparing."""

COHORT = 8
"""Number of unrelated images that one is compared with, to learn what images of the set share."""

_SAMPLE = 64
_GOLDEN = 0.6180339887498949
_SHRINK = 16
CELLS = 1 << 22
"""Similarities that are held in memory at once: 16 MiB."""

TURNS: tuple[tuple[str, str], ...] = (
    ("", "turned by 180°"),
    ("mirrored left to right", "mirrored top to bottom"),
    ("transposed", "transposed and turned by 180°"),
    ("turned by 90°", "turned by 270°"),
)
"""For each way that a signature can be turned, the two ways of turning an image that it cannot tell apart."""


@dataclass(frozen=True, slots=True, order=True)
class PairToCompare:
    """A pair worth comparing.

    Attributes:
        a: Row of the first image, less than b.
        turn: How image b is turned to agree with a; "" for not at all.
    """

    a: int
    b: int
    turn: str


def candidates(signatures: NDArray[np.float32], *, cells: int = CELLS) -> list[PairToCompare]:
    """The pairs worth comparing, the most likely first, by signatures (float32 Nx2xFxF, see `descriptors.signature`).

    Takes O(n²) multiplications in blocks of `cells` similarities, so that memory does not grow with the number of
    images.
    """
    count = len(signatures)
    if count < 2:
        return []
    common = _common(signatures)
    known = _unit(signatures - common)
    found: dict[PairToCompare, float] = {}
    block = max(1, cells // count)
    for start in range(0, count, block):
        rows = slice(start, start + block)
        for which, turned in enumerate(_turned(signatures[rows])):
            similarity = _unit(turned - common) @ known.T
            similarity[np.arange(len(similarity)), start + np.arange(len(similarity))] = -2
            _collect(found, similarity, start, which)
    return sorted(found, key=lambda pair: (-found[pair], pair))


def _common(signatures: NDArray[np.float32]) -> NDArray[np.float32]:
    """What all images of a set have in common (its weave) says nothing; with few images the mean is hardly known."""
    count = len(signatures)
    return np.asarray(signatures.mean(axis=0) * (count / (count + _SHRINK)), dtype=np.float32)


class Strangers:
    """For an image, others like it that are not known to be related: what it shares with them is not its own.

    This is the impostor cohort of speaker verification (Auckenthaler, Carey and Lloyd-Thomas 2000). It is drawn from
    the nearer half of a sample, because in a folder of several products only the images of one product are a fair
    comparison.
    """

    def __init__(self, signatures: NDArray[np.float32]) -> None:
        self._known = _unit(signatures - _common(signatures))

    def of(self, row: int, related: Collection[int]) -> list[int]:
        """Up to COHORT rows, none of them in `related`; [] where there are fewer than half of that."""
        count = len(self._known)
        # The golden ratio spreads the sample over the set, whatever its size.
        spread = dict.fromkeys((row + int(step * count * _GOLDEN)) % count for step in range(1, _SAMPLE + 1))
        sample = [other for other in spread if other != row and other not in related]
        likeness = self._known[sample] @ self._known[row]
        ranked = [sample[place] for place in np.argsort(-likeness, kind="stable")]
        nearer = ranked[: max(len(ranked) // 2, COHORT)]
        if len(nearer) < COHORT // 2:
            return []
        places = np.linspace(0, len(nearer) - 1, min(COHORT, len(nearer))).astype(int)
        return [nearer[place] for place in places]


def _collect(found: dict[PairToCompare, float], similarity: NDArray[np.float32], start: int, which: int) -> None:
    def note(row: int, column: int, value: float, turn: str) -> None:
        pair = PairToCompare(min(start + row, column), max(start + row, column), turn)
        # Turned comparisons come after all plain ones, which mostly settle the pair.
        found[pair] = max(found.get(pair, -9.0), value - (3.0 if turn else 0.0))

    if which == 0:
        take = min(FURTHER, similarity.shape[1] - 1)
        nearest = np.argpartition(-similarity, take - 1, axis=1)[:, :take]
        for row, columns in enumerate(nearest):
            values = similarity[row, columns]
            for rank, place in enumerate(np.lexsort((columns, -values))):
                if rank >= NEAREST and values[place] < CLOSE and len(values) == FURTHER:
                    break
                note(row, int(columns[place]), float(values[place]), "")
    best = similarity.argmax(axis=1)
    values = similarity[np.arange(len(best)), best]
    for row in np.flatnonzero(values >= TURNED_CLOSE).tolist():
        # Both ways of turning are tried, so it does not matter which image of the pair is turned.
        for turn in TURNS[which]:
            if turn:
                note(row, int(best[row]), float(values[row]), turn)


def _turned(block: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    mirrored = block[:, ::-1]
    return [block, mirrored, block.swapaxes(2, 3), mirrored.swapaxes(2, 3)]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = rows.reshape(len(rows), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-9), dtype=np.float32)


def turn_plane(plane: NDArray[np.float32], turn: str) -> NDArray[np.float32]:
    """A plane turned as a candidate says."""
    return np.ascontiguousarray(_TURNED[turn](plane))


_TURNED: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "": lambda plane: plane,
    "turned by 180°": lambda plane: plane[::-1, ::-1],
    "mirrored left to right": lambda plane: plane[:, ::-1],
    "mirrored top to bottom": lambda plane: plane[::-1],
    "transposed": lambda plane: plane.T,
    "transposed and turned by 180°": lambda plane: plane[::-1, ::-1].T,
    "turned by 90°": lambda plane: np.rot90(plane),
    "turned by 270°": lambda plane: np.rot90(plane, 3),
}


def swaps_sides(turn: str) -> bool:
    """Whether the turn exchanges width and height."""
    return turn in TURNS[2] or turn in TURNS[3]

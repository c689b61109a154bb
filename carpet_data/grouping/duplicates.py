"""Exact and near duplicates among images, by their pixels alone.

An exact duplicate has the same bytes, or the same decoded pixels. A near duplicate shows the same scene: photographed
again under other light or exposure, re-compressed, resized, a little shifted, turned or cropped, mirrored. Images
that are merely alike (two pieces of one weave, two screws in one pose) are not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import CarpetDataError, ImageError
from carpet_data.grouping import alignment, neighbors
from carpet_data.grouping.alignment import Match
from carpet_data.grouping.descriptors import PLANE, Descriptor, describe_or_problem, signature, to_float
from carpet_data.grouping.evidence import LIKELY, Compared, LinkEvidence
from carpet_data.grouping.groups import Link, chain, link
from carpet_data.grouping.neighbors import PairToCompare

IN_MEMORY = 20_000
"""More planes than this (310 MiB) are kept in an unnamed temporary file, which the system pages in and out."""


# Whitened planes kept while comparing: 64 MiB.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        links: Sorted. Near links join each group as a tree, so they are not every pair in it.
        problems: Images that cannot be read, in the order of their ids; they are in no link.
        file_sha256: sample id -> hex digest of the image file's bytes.
    """

    links: tuple[Link, ...]
    problems: tuple[CarpetDataError, ...]
    file_sha256: Mapping[str, str]


def find(
    files: Mapping[str, Path],
    *,
    near: bool = True,
    in_memory: int = IN_MEMORY,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """Find the duplicates among image files (sample id -> file).

    The result does not depend on the order of `files` nor on the number of workers. At most `in_memory` planes are held
    in memory; more are kept in a temporary file.
    """
    ids = sorted(files)
    problems: list[CarpetDataError] = []
    digests: dict[str, str] = {}
    search = Search(len(ids), near=near, in_memory=in_memory)
    described = executor.run(describe_or_problem, (files[sample_id] for sample_id in ids), workers=workers)
    for done, (sample_id, result) in enumerate(zip(ids, described, strict=True), start=1):
        if isinstance(result, ImageError):
            problems.append(result)
        else:
            digests[sample_id] = result.file_sha256
            search.add(sample_id, result)
        if progress is not None:
            progress(Step(done, len(ids), "comparing images"))
    return Found(tuple(search.links()), tuple(problems), digests)


class Search:
    """The search of `find`, for up to `capacity` images that are opened and described elsewhere."""

    def __init__(self, capacity: int, *, near: bool = True, in_memory: int = IN_MEMORY) -> None:
        self._near = near
        self._exact = _Exact()
        self._planes = _PlaneStore(capacity if near else 0, on_disk=capacity > in_memory)

    def add(self, sample_id: str, descriptor: Descriptor) -> None:
        """Add one image; ids must come sorted, so that the result is the same for every order of the files."""
        first_of_its_kind = self._exact.add(sample_id, descriptor)
        if self._near and first_of_its_kind and not descriptor.featureless:
            self._planes.add(sample_id, descriptor)

    def links(self) -> list[Link]:
        """All links among the images added, sorted."""
        near = near_links(self._planes) if self._near else []
        return sorted(self._exact.links() + near)


class _Exact:
    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}
        self._pixels: dict[str, list[str]] = {}

    def add(self, sample_id: str, descriptor: Descriptor) -> bool:
        """Add a sample; True if no earlier sample has its pixels."""
        same_file = self._files.setdefault(descriptor.file_sha256, [])
        same_file.append(sample_id)
        if len(same_file) > 1:
            return False
        same_pixels = self._pixels.setdefault(descriptor.pixel_sha256, [])
        same_pixels.append(sample_id)
        return len(same_pixels) == 1

    def links(self) -> list[Link]:
        """Same bytes, then same pixels among the first of each bytes."""
        found = [pair for ids in self._files.values() for pair in chain(ids, "file")]
        return found + [pair for ids in self._pixels.values() for pair in chain(ids, "pixels")]


class _PlaneStore:
    """Planes and signatures of many images, 17 KiB each."""

    def __init__(self, capacity: int, *, on_disk: bool) -> None:
        shape = (max(capacity, 1), PLANE, PLANE)
        self._planes: NDArray[np.int8]
        if on_disk:
            # The mapping keeps the file alive after it is closed; the system frees it with the mapping.
            with tempfile.TemporaryFile() as file:
                self._planes = np.memmap(file, dtype=np.int8, mode="w+", shape=shape)
        else:
            self._planes = np.empty(shape, dtype=np.int8)
        self._signatures: list[NDArray[np.float32]] = []
        self.ids: list[str] = []
        self.sizes: list[tuple[int, int]] = []

    def add(self, sample_id: str, descriptor: Descriptor) -> None:
        self._planes[len(self.ids)] = descriptor.plane
        self._signatures.append(signature(descriptor.plane))
        self.ids.append(sample_id)
        self.sizes.append((descriptor.width, descriptor.height))

    def signatures(self) -> NDArray[np.float32]:
        return np.stack(self._signatures) if self._signatures else np.empty((0, 2, 1, 1), np.float32)

    def plane(self, row: int) -> NDArray[np.float32]:
        return to_float(self._planes[row])


def near_links(planes: _PlaneStore) -> list[Link]:
    """The near duplicates among stored planes."""
    signatures = planes.signatures()
    pairs = neighbors.candidates(signatures)
    if not pairs:
        return []
    comparing = _Comparing(planes)
    strangers = neighbors.Strangers(signatures)

    def unrelated(row: int, related: set[int]) -> list[Compared]:
        return [comparing.compared(PairToCompare(row, other, "")) for other in strangers.of(row, related)]

    evidence = LinkEvidence(len(planes.ids), unrelated, comparing.everywhere)
    evidence.candidates(pairs)
    for pair in pairs:
        if not evidence.settled(pair):
            evidence.add(comparing.compared(pair))
    return [_link(planes, found) for found in evidence.links()]


def _link(planes: _PlaneStore, found: Compared) -> Link:
    pair, match = found.pair, found.match
    score = round(min(match.agreement if match.agreement >= LIKELY else match.coarse, 1.0), 3)
    return link(planes.ids[pair.a], planes.ids[pair.b], "near", score, _detail(pair, match))


class _Comparing:
    """Compares stored planes by row, with a memory of the whitened ones."""

    def __init__(self, planes: _PlaneStore) -> None:
        self._planes = planes
        self._white = lru_cache(maxsize=_REMEMBERED)(self._new_white)

    def _new_white(self, row: int) -> NDArray[np.int8]:
        white = alignment.whitened(self._planes.plane(row)) / alignment.WHITE_STEP
        return np.asarray(np.rint(np.clip(white, -127, 127)), dtype=np.int8)

    def _spectrum(self, row: int, turn: str) -> NDArray[np.float32]:
        white = self._white(row).astype(np.float32) * np.float32(alignment.WHITE_STEP)
        return alignment.spectrum(neighbors.turn_plane(white, turn))

    def _plane(self, row: int, turn: str) -> NDArray[np.float32]:
        return neighbors.turn_plane(self._planes.plane(row), turn)

    def compared(self, pair: PairToCompare) -> Compared:
        """How well the two images agree."""
        match = alignment.compare(
            lambda: self._plane(pair.a, ""),
            lambda: self._plane(pair.b, pair.turn),
            spectrum_a=self._spectrum(pair.a, ""),
            spectrum_b=self._spectrum(pair.b, pair.turn),
            stretch=_stretch(self._planes.sizes, pair),
        )
        sides = (*self._planes.sizes[pair.a], *self._planes.sizes[pair.b])
        # Only where pixels are missing: a lattice agrees with its mirror image at coarse scales by 0.95.
        return Compared(pair, match if min(sides) < PLANE else replace(match, coarse=0.0))

    def everywhere(self, found: Compared) -> float:
        """How far an aligned pair agrees all over the frame."""
        if found.match.warp is None:
            return 0.0
        pair = found.pair
        return alignment.everywhere(self._plane(pair.a, ""), self._plane(pair.b, pair.turn), found.match.warp)


def _stretch(sizes: Sequence[tuple[int, int]], pair: PairToCompare) -> tuple[float, float]:
    width, height = sizes[pair.b]
    if neighbors.swaps_sides(pair.turn):
        width, height = height, width
    return width / sizes[pair.a][0], height / sizes[pair.a][1]


def _detail(pair: PairToCompare, match: Match) -> str:
    across, down = (round(100 * part) for part in match.shift_frac)
    shift = f"shifted by {across} %, {down} %" if across or down else ""
    return ", ".join(part for part in (pair.turn, shift) if part)

"""All that a tiled folder will hold: the tiles of every image, its groups, splits, and what made synthetic images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from carpet_data.dataset import GOOD, MaskFile, Sample, Side, Split
from carpet_data.errors import DataError
from carpet_data.grouping.groups import chain, link
from carpet_data.store import manifest, names
from carpet_data.store.description import Description
from carpet_data.store.files import place
from carpet_data.store.json_files import read_json, write_json
from carpet_data.store.manifest import Entry, Tombstone
from carpet_data.tiling import document
from carpet_data.tiling.cut import CutJob, cut
from carpet_data.tiling.document import TileRecord
from carpet_data.tiling.grid import Window
from carpet_data.tiling.options import TileOptions
from carpet_data.tiling.source import Source, WholeImage

__all__ = ["TileDraft", "copy_models", "copy_recipes"]

_LISTS = ("donors", "textures", "plate_from")


@dataclass(frozen=True)
class TileDraft:
    """What `tile` writes; see `carpet_data.store.creating.Contents`."""

    source: Source
    options: TileOptions
    _tiles: dict[str, tuple[tuple[str, Window], ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the tiles of every image.

        Raises:
            DataError: Two tiles would have one id.
        """
        seen: dict[str, str] = {}
        for image in self.source.images:
            sample = image.sample
            self._tiles[sample.id] = tuple(self.options.tiles(sample.id, sample.height, sample.width))
            for tile_id, _ in self._tiles[sample.id]:
                other = seen.setdefault(tile_id.casefold(), sample.id)
                if other != sample.id:
                    raise DataError(
                        f"a tile of {sample.id!r} and one of {other!r} would have the same id, {tile_id!r}",
                        where=self.source.root,
                        hint="rename one of the two images",
                    )

    def tiles_of(self, image_id: str) -> tuple[str, ...]:
        """The ids of the tiles of an image; none for an unknown image."""
        return tuple(tile_id for tile_id, _ in self._tiles.get(image_id, ()))

    @cached_property
    def groups(self) -> dict[str, str]:
        """Image id -> group of its tiles, the smallest id of all tiles of its group; none for one whole image alone."""
        members: dict[str, list[str]] = {}
        for image in self.source.images:
            members.setdefault(image.sample.group or image.sample.id, []).append(image.sample.id)
        found: dict[str, str] = {}
        for ids in members.values():
            tiles = [tile_id for image_id in ids for tile_id in self.tiles_of(image_id)]
            if len(tiles) > 1:
                found |= dict.fromkeys(ids, min(tiles))
        return found

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """The splits of the source; all tiles of an image are on its side."""
        found = []
        for split in self.source.splits:
            sides: dict[str, Side] = {
                tile_id: side for image_id, side in split.sides.items() for tile_id in self.tiles_of(image_id)
            }
            found.append(Split(split.name, sides, split.made))
        return tuple(found)

    @cached_property
    def links(self) -> tuple[Mapping[str, Any], ...]:
        """The links of the source, between the first tiles of two images; and those between the tiles of each image."""
        found = [each for image_id in self._tiles for each in chain(self.tiles_of(image_id), "source", image_id)]
        for each in self.source.links:
            ends = min(self.tiles_of(each["a"])), min(self.tiles_of(each["b"]))
            found.append(link(*ends, each["reason"], each["score"], each["detail"]))
        return tuple(each.to_json() for each in sorted(set(found)))

    @property
    def links_made(self) -> Mapping[str, Any]:
        """How the images were grouped."""
        return self.source.links_made or {}

    @property
    def write(self) -> Callable[[Any], Sequence[Sample]]:
        """Cuts one image."""
        return cut

    def identity(self) -> str:
        """A hex digest of everything that decides what is written."""
        source = self.source
        parts: list[Any] = [
            ["tile", self.options.to_json(), repr(source.description), source.links_made, source.links],
            *([split.name, split.made, sorted(split.sides.items())] for split in source.splits),
            *([manifest.to_json(self._whole(each)), each.mask_digest, each.located] for each in source.images),
        ]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode(errors="surrogatepass") + b"\n")
        return digest.hexdigest()

    def ids(self) -> Collection[str]:
        """The ids of all tiles."""
        return [tile_id for image_id in self._tiles for tile_id in self.tiles_of(image_id)]

    def jobs(self, target: Path | None, done: Container[str]) -> Iterator[CutJob]:
        """The images to be cut; without a `target`, to say what their tiles would be."""
        for image in self.source.images:
            sample = image.sample
            if not all(tile_id in done for tile_id in self.tiles_of(sample.id)):
                yield CutJob(
                    self.source.root,
                    target,
                    sample,
                    self.source.description.connectivity,
                    self.options,
                    self.groups.get(sample.id),
                    image.located,
                    image.dropped is not None,
                    self._provenance(sample),
                )

    def _provenance(self, sample: Sample) -> dict[str, dict[str, Any]] | None:
        """What made a synthetic image, of each of its tiles: the images it was made from are named by their tiles."""
        if sample.provenance is None:
            return None
        made: dict[str, dict[str, Any]] = {}
        for tile_id, window in self._tiles[sample.id]:
            values = dict(sample.provenance)
            for name in ("host", "null_source"):
                if isinstance(values.get(name), str):
                    values[name] = self._at(values[name], window)
            for name in _LISTS:
                if isinstance(values.get(name), list):
                    values[name] = [tile for each in values[name] for tile in self.tiles_of(str(each)) or (str(each),)]
            made[tile_id] = values
        return made

    def _at(self, image_id: str, window: Window) -> str:
        """The tile of an image at a place; the first one where it has none there, the image itself if it is unknown."""
        tiles = self._tiles.get(image_id, ())
        same = [tile_id for tile_id, its_window in tiles if its_window == window]
        return (*same, *(tile_id for tile_id, _ in tiles), image_id)[0]

    def entry(self, sample: Sample) -> Entry:
        """A tile as it stands in the manifest: dropped where its image is."""
        record = TileRecord.of_sample(sample.provenance)
        reason = None if record is None else self._dropped.get(record.of)
        return sample if reason is None else Tombstone(sample, reason)

    @cached_property
    def _dropped(self) -> dict[str, str]:
        return {each.sample.id: each.dropped for each in self.source.images if each.dropped is not None}

    def finish(self, target: Path) -> Description:
        """Write tiles.jsonl, and the recipes and model cards of synthetic images; describe the whole."""
        entries = (
            each.sample if isinstance(each, Tombstone) else each for each in manifest.stream(target / names.MANIFEST)
        )
        classes = sorted({sample.class_name for sample in entries}, key=lambda name: (name != GOOD, name))
        about = self.source.description
        document.write(target, self.options, about, map(self._whole, self.source.images))
        copy_recipes(self.source.root, target)
        copy_models(self.source.root, target, lambda image_id: self.tiles_of(image_id) or (image_id,))
        return replace(about, classes=tuple(classes), prepared={**about.prepared, "tiles": self.options.to_json()})

    def _whole(self, image: WholeImage) -> Entry:
        """The line of an image in tiles.jsonl, with the paths that it has when the tiles are put together."""
        sample = image.sample
        cut_up = len(self._tiles[sample.id]) > 1
        suffix = ".png" if cut_up else PurePosixPath(sample.image_path).suffix
        mask = None if sample.annotation is None else MaskFile(names.mask_path(sample.id, sample.class_name))
        whole = replace(
            sample,
            image_path=names.image_path(sample.id, sample.class_name, suffix),
            annotation=mask,
            source=sample.source or sample.image_path,
            mask_sha256=None,
        )
        return whole if image.dropped is None else Tombstone(whole, image.dropped)


def copy_recipes(source: Path, target: Path) -> None:
    """Bring the recipes that synthetic images were made by into another folder."""
    for path in sorted((source / names.RECIPES).glob("*.json")):
        place(path, target / names.RECIPES / path.name)


def copy_models(source: Path, target: Path, renamed: Callable[[str], Sequence[str]]) -> None:
    """Bring the cards of fitted models into another folder, without their weights; `renamed` gives the ids of samples.

    The cards say what a model was trained on, which decides whether its images leak; the weights are of whole images.
    """
    for path in sorted((source / names.MODELS).glob(f"*/{names.CARD}")):
        card = read_json(path, hint="restore the model's folder", what="the card of a model")
        if isinstance(card.get("samples"), dict):
            card["samples"] = {new: value for old, value in card["samples"].items() for new in renamed(old)}
        if isinstance(card.get("read"), list):
            card["read"] = sorted({new for old in card["read"] for new in renamed(str(old))})
        write_json(target / names.MODELS / path.parent.name / names.CARD, card)

"""How to cut a data set into tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from carpet_data.core.options import Options, option
from carpet_data.tiling.grid import Window, check_tiles, windows

__all__ = ["TileOptions"]


@dataclass(frozen=True, slots=True)
class TileOptions(Options):
    """How to cut a data set into tiles.

    Examples:
        >>> for tile_id, window in TileOptions(size=512, overlap=64).tiles("hole-003", 600, 512):
        ...     print(tile_id, window.top, window.left)
        hole-003_y0000_x0000 0 0
        hole-003_y0088_x0000 88 0
    """

    size: int = option(512, "Width and height of a tile in pixels; a smaller image is one tile.", minimum=1)
    overlap: int = option(64, "Minimum number of pixels that neighboring tiles share.", minimum=0)
    least_pixels: int = option(
        1,
        "Minimum number of defect pixels of a defect tile; one with fewer is of class good, and its mask keeps them.",
        minimum=1,
    )

    def __post_init__(self) -> None:
        """Refuse tiles that cannot cover an image."""
        Options.__post_init__(self)
        check_tiles(self.size, self.overlap)

    def tiles(self, image_id: str, height: int, width: int) -> Iterator[tuple[str, Window]]:
        """The id and the place of each tile of an image, row by row; the only tile of an image has its id."""
        # The store loads numpy, which the help of a command can do without.
        from carpet_data.store.names import component

        found = tuple(windows(height, width, self.size, self.overlap))
        for window in found:
            tile_id = image_id if len(found) == 1 else f"{image_id}_y{window.top:04d}_x{window.left:04d}"
            yield component(tile_id), window

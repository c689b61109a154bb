"""Where the tiles of an image lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from carpet_data.errors import UsageError

__all__ = ["Window", "check_tiles", "starts", "windows"]


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of an image, in pixels.

    Attributes:
        top: Its first row.
        left: Its first column.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The first column to the right of it."""
        return self.left + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its pixels in an array of the image: `image[window.slices]`."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def shared(self, other: Window) -> Window | None:
        """The part that it shares with another window; None where they share no pixel."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        height, width = min(self.bottom, other.bottom) - top, min(self.right, other.right) - left
        return Window(top, left, height, width) if height > 0 and width > 0 else None


def check_tiles(size: int, overlap: int) -> None:
    """Refuse tiles that cannot cover an image.

    Raises:
        UsageError: The size is not positive, or the overlap is negative or not smaller than the size.
    """
    if size < 1:
        raise UsageError(f"invalid tile size {size}", hint="give a size of at least 1 pixel, such as --size 512")
    if not 0 <= overlap < size:
        raise UsageError(
            f"an overlap of {overlap} pixels does not fit tiles of {size}",
            hint=f"give an overlap from 0 to {size - 1}, such as --overlap {size // 8}",
        )


def starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    """Where tiles of `size` pixels begin along an image of `length` pixels, at least `overlap` shared by neighbors.

    As few tiles as suffice, spread evenly, the last ending where the image ends. A shorter image has one tile.

    Examples:
        >>> starts(1024, 512, 64), starts(1000, 512, 0), starts(300, 512, 64)
        ((0, 256, 512), (0, 488), (0,))
    """
    if length <= size:
        return (0,)
    steps = -(-(length - size) // (size - overlap))
    return tuple(number * (length - size) // steps for number in range(steps + 1))


def windows(height: int, width: int, size: int, overlap: int) -> Iterator[Window]:
    """The tiles of an image, row by row; each has `size` rows and columns, or all that the image has.

    Examples:
        >>> [(window.top, window.left) for window in windows(300, 1000, 512, 0)]
        [(0, 0), (0, 488)]

    Raises:
        UsageError: As `check_tiles`.
    """
    check_tiles(size, overlap)
    columns = starts(width, size, overlap)
    for top in starts(height, size, overlap):
        for left in columns:
            yield Window(top, left, min(size, height), min(size, width))

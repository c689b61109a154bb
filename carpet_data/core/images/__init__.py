"""Images: decode, encode, limits, one codec for every file of the package."""

from carpet_data.core.images.decode import (
    SUFFIXES,
    check_whole,
    read,
    read_deep,
    read_indices,
    read_values,
    shape_in_alpha,
)
from carpet_data.core.images.encode import PICTURES, encode_picture, encode_png, write_png
from carpet_data.core.images.probe import ImageInfo, probe

__all__ = [
    "PICTURES",
    "SUFFIXES",
    "ImageInfo",
    "check_whole",
    "encode_picture",
    "encode_png",
    "probe",
    "read",
    "read_deep",
    "read_indices",
    "read_values",
    "shape_in_alpha",
    "write_png",
]

"""A procedural woven carpet and its defects: the sample data set, and models of defects for other hosts.

A `Host` (here `Cloth`) gives a `Surface` (color and height per pixel). A defect changes the surface within a box. One
shader turns both surfaces into images, and the mask is where they visibly differ.
"""

from carpet_data.weave.cloth import Cloth, make_cloth
from carpet_data.weave.defects import DEFECTS, Change, Defect
from carpet_data.weave.image import Rendered, render
from carpet_data.weave.surface import Host, Light, Surface, shade

__all__ = [
    "DEFECTS",
    "Change",
    "Cloth",
    "Defect",
    "Host",
    "Light",
    "Rendered",
    "Surface",
    "make_cloth",
    "render",
    "shade",
]

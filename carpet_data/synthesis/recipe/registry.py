"""The methods by name; each is imported when it is used, so that help and recipe checks load none but their own.

Other packages add methods by an entry point of the group `carpet_data.methods`: name = "module:Class", a class that
derives from `carpet_data.synthesis.contract.Method`.
"""

from __future__ import annotations

from carpet_data.core.plugins import Registry
from carpet_data.errors import CarpetDataError
from carpet_data.synthesis.contract import Method

__all__ = ["METHODS", "load"]

METHODS = Registry(
    "method",
    "carpet_data.methods",
    {
        "augment": ("carpet_data.synthesis.methods.augment:Augment", "whole real defect images, by albumentations"),
        "donor-paste": (
            "carpet_data.synthesis.methods.donor_paste:DonorPaste",
            "a real defect, warped, on a clean image",
        ),
        "procedural": (
            "carpet_data.synthesis.methods.procedural:Procedural",
            "a defect drawn by a model, without donors",
        ),
        "perlin": ("carpet_data.synthesis.methods.perlin:Perlin", "Perlin-noise shapes filled with other texture"),
        "nsa": ("carpet_data.synthesis.methods.nsa:Nsa", "patches of other good images, cloned without a seam"),
        "resynthesis": (
            "carpet_data.synthesis.methods.resynthesis:Resynthesis",
            "a new shape, filled by quilting donors",
        ),
        "ddpm-inpaint": (
            "carpet_data.learned.ddpm_inpaint.method:DdpmInpaint",
            "a diffusion network repaints a place as a defect",
        ),
        "gan": ("carpet_data.learned.gan.method:Gan", "a small GAN draws a defect with its mask"),
        "pretrained-inpaint": (
            "carpet_data.learned.pretrained_inpaint.method:PretrainedInpaint",
            "a pretrained inpainting pipeline paints the defect",
        ),
    },
)


def load(target: str) -> Method:
    """The method at "module:Class".

    Raises:
        CarpetDataError: It cannot be loaded, or is not a method.
    """
    found = METHODS.load_target(target)
    if not (isinstance(found, type) and Method in found.__mro__):
        raise CarpetDataError(
            "the entry point is not a method", where=target, hint=f"derive the class from {Method.__module__}.Method"
        )
    method: Method = found()
    return method

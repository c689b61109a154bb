"""The methods by name; each is imported when it is used, so that help and recipe checks load none but their own.

Other packages add methods by an entry point of the group `carpet_data.methods`: name = "module:attribute".
"""

from __future__ import annotations

import difflib
import importlib
from functools import lru_cache
from importlib.metadata import entry_points

from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.synthesis.contract import Method

ENTRY_POINTS = "carpet_data.methods"

METHODS: dict[str, tuple[str, str]] = {
    "augment": ("carpet_data.synthesis.methods.augment:Augment", "whole real defect images, by albumentations"),
    "donor-paste": ("carpet_data.synthesis.methods.donor_paste:DonorPaste", "a real defect, warped, on a clean image"),
    "procedural": ("carpet_data.synthesis.methods.procedural:Procedural", "a defect drawn by a model, without donors"),
    "perlin": ("carpet_data.synthesis.methods.perlin:Perlin", "Perlin-noise shapes filled with other texture"),
    "nsa": ("carpet_data.synthesis.methods.nsa:Nsa", "patches of other good images, cloned without a seam"),
    "resynthesis": ("carpet_data.synthesis.methods.resynthesis:Resynthesis", "a new shape, filled by quilting donors"),
    "ddpm-inpaint": (
        "carpet_data.learned.ddpm_inpaint.method:DdpmInpaint",
        "a diffusion network repaints a place as a defect",
    ),
    "gan": ("carpet_data.learned.gan.method:Gan", "a small GAN draws a defect with its mask"),
    "pretrained-inpaint": (
        "carpet_data.learned.pretrained_inpaint.method:PretrainedInpaint",
        "a pretrained inpainting pipeline paints the defect",
    ),
}


def target(name: str) -> str:
    """Where a method lies, as "module:attribute".

    Raises:
        UsageError: No method has this name; the nearest is offered.
        CarpetDataError: Two packages bring methods of one name.
    """
    if name in METHODS:
        return METHODS[name][0]
    found = _from_packages()
    if name in found:
        return found[name]
    known = [*METHODS, *found]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"no method is called {name!r}", hint=f"{hint}the methods are {', '.join(known)}")


def load(where: str) -> Method:
    """The method at "module:attribute".

    Raises:
        CarpetDataError: It cannot be loaded.
    """
    module, _, attribute = where.partition(":")
    try:
        method: Method = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # a package of others may fail in any way while it is imported
        raise CarpetDataError(
            f"the method cannot be loaded ({type(error).__name__}: {error})",
            where=where,
            hint="install or fix the package that brings it",
        ) from error
    return method


@lru_cache(maxsize=1)
def _from_packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in METHODS or point.name in found:
            raise CarpetDataError(
                f"two packages bring a method called {point.name!r}", where=point.value, hint="uninstall one of them"
            )
        found[point.name] = point.value
    return found

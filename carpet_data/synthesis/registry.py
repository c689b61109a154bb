"""The methods by name; each is imported when it is used, so that help and recipe checks load none."""

from __future__ import annotations

METHODS: dict[str, tuple[str, str]] = {
    "augment": ("carpet_data.synthesis.methods.augment:Augment", "whole real defect images, by albumentations"),
    "donor-paste": ("carpet_data.synthesis.methods.donor_paste:DonorPaste", "a real defect, warped, on a clean image"),
    "procedural": ("carpet_data.synthesis.methods.procedural:Procedural", "a defect drawn by a model, without donors"),
    "perlin": ("carpet_data.synthesis.methods.perlin:Perlin", "Perlin-noise shapes filled with other texture"),
    "nsa": ("carpet_data.synthesis.methods.nsa:Nsa", "patches of other good images, cloned without a seam"),
    "resynthesis": ("carpet_data.synthesis.methods.resynthesis:Resynthesis", "a new shape, filled by quilting donors"),
}

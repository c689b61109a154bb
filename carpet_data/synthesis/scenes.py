"""From a plan to pixels: the scene that a method may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carpet_data.synthesis.contract import Box, Donor, Facts, Image, Scene
from carpet_data.synthesis.pixels import Pixels, collared, like
from carpet_data.synthesis.planning import Job
from carpet_data.synthesis.pools import DonorRef
from carpet_data.synthesis.variation import vary, vary_mask


@dataclass(frozen=True, slots=True)
class Wants:
    """What a method's scenes must hold.

    Attributes:
        donors: How many donors.
        whole: Whether it works on a whole image instead of a host.
    """

    donors: int
    whole: bool


def build(pixels: Pixels, job: Job, facts: Facts, wants: Wants) -> Scene:
    """The scene of a job; donors and textures are grey or RGB as the host is."""
    name = facts.class_name
    if wants.whole:
        host = pixels.host(job.host)
        mask = np.zeros(host.shape[:2], np.bool_) if job.null else pixels.mask(job.host.sample, name)
        donors = () if job.null else tuple(_like(pixels.donor(ref, name), host) for ref in job.donors)
        return Scene(host, pixels.foreground(job.host), donors, (), facts, whole=(host, mask), null=job.null)
    host = vary(pixels.host(job.host), job.variation)
    found = pixels.foreground(job.host)
    return Scene(
        host=host,
        foreground=None if found is None else vary_mask(found, job.variation),
        donors=tuple(
            _null_donor(pixels, job, ref, facts, host) if job.null else _like(pixels.donor(ref, name), host)
            for ref in job.donors
        ),
        textures=tuple(like(pixels.host(ref), host) for ref in job.textures),
        facts=facts,
        null=job.null,
    )


def _like(donor: Donor, host: Image) -> Donor:
    if donor.image.ndim == host.ndim:
        return donor
    return Donor(donor.id, like(donor.image, host), donor.mask, donor.box, donor.size, donor.foreground)


def _null_donor(pixels: Pixels, job: Job, ref: DonorRef, facts: Facts, host: Image) -> Donor:
    """Good ground in the shape of a real defect: for a texture from anywhere, for an object from the same part."""
    assert job.null_source is not None
    source = like(pixels.host(job.null_source), host)
    height, width = source.shape[:2]
    real = pixels.mask(ref.sample, facts.class_name)
    x, y, w, h = ref.box
    w, h = min(w, width), min(h, height)
    shape = real[y : y + h, x : x + w]
    if facts.is_object:
        left, top = min(x, width - w), min(y, height - h)
    else:
        left, top = (
            int(free * share) for free, share in zip((width - w, height - h), job.null_shift_frac, strict=True)
        )
    box: Box = collared((left, top, w, h), width, height)
    cut = source[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    mask = np.zeros(cut.shape[:2], np.bool_)
    mask[top - box[1] : top - box[1] + h, left - box[0] : left - box[0] + w] = shape
    return Donor(job.null_source.sample.id, cut, mask, box, (width, height), pixels.foreground(job.null_source))

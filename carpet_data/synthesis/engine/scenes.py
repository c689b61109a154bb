"""From a plan to pixels: the scene that a method may look at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carpet_data.synthesis.contract import Box, Donor, Facts, Image, Mask, Scene
from carpet_data.synthesis.engine.candidates import DonorRef
from carpet_data.synthesis.engine.pixels import Pixels, collared, like
from carpet_data.synthesis.engine.plan import Job
from carpet_data.synthesis.engine.variation import vary, vary_mask
from carpet_data.synthesis.ops.placement import pose_of


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
    """Good ground in the shape of a real defect: for a texture from anywhere, for an object from itself."""
    assert job.null_source is not None
    itself = facts.is_object and job.null_source == job.host
    source = host if itself else like(pixels.host(job.null_source), host)
    foreground = pixels.foreground(job.null_source)
    if itself and foreground is not None:
        foreground = vary_mask(foreground, job.variation)
    height, width = source.shape[:2]
    real = pixels.mask(ref.sample, facts.class_name)
    x, y, w, h = ref.box
    w, h = min(w, width), min(h, height)
    shape = real[y : y + h, x : x + w]
    if facts.is_object:
        centre = _same_part(
            x + w / 2, y + h / 2, pixels.donor(ref, facts.class_name), pixels.foreground(job.null_source)
        )
        left = min(max(0, round(centre[0] - w / 2)), width - w)
        top = min(max(0, round(centre[1] - h / 2)), height - h)
    else:
        left, top = (
            int(free * share) for free, share in zip((width - w, height - h), job.null_shift_frac, strict=True)
        )
    box: Box = collared((left, top, w, h), width, height)
    cut = source[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    mask = np.zeros(cut.shape[:2], np.bool_)
    mask[top - box[1] : top - box[1] + h, left - box[0] : left - box[0] + w] = shape
    return Donor(job.null_source.sample.id, cut, mask, box, (width, height), foreground)


def _same_part(x: float, y: float, donor: Donor, foreground: Mask | None) -> tuple[float, float]:
    """Where a place of the donor's object lies on another one: the same way along and across its long axis."""
    poses = [None if mask is None else pose_of(mask) for mask in (donor.foreground, foreground)]
    here, there = poses
    if here is None or there is None or not (here.elongated and there.elongated) or here.length_px <= 0:
        return x, y
    turn = math.radians(there.angle_deg - here.angle_deg)
    scale = there.length_px / here.length_px
    along, across = (x - here.centre[0]) * scale, (y - here.centre[1]) * scale
    return (
        there.centre[0] + along * math.cos(turn) - across * math.sin(turn),
        there.centre[1] + along * math.sin(turn) + across * math.cos(turn),
    )

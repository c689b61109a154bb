"""procedural: a defect drawn by a model, in the colors and the weave of its host; no donor is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from carpet_data.errors import UsageError
from carpet_data.synthesis.contract import Candidate, Facts, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.defect_models import woven
from carpet_data.synthesis.defect_models.fabric import Fabric, find_fabric
from carpet_data.synthesis.defect_models.kinds import KINDS, Kind, kind_of
from carpet_data.synthesis.defect_models.surface import look_at
from carpet_data.synthesis.defect_models.window import Window, settled, window_around
from carpet_data.synthesis.methods.parameters import Parameters, Range, ShareRange
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.foreground import object_core
from carpet_data.synthesis.ops.masks import depth_of
from carpet_data.synthesis.ops.pixels import F32, blurred, camera_noise
from carpet_data.weave.defects import DEFECTS

_PITCH_UNITS = 23.5
"""Mean distance of two yarns in the units of the woven models."""
_SMALLEST_WOVEN_PX = 8.0


class ProceduralParameters(Parameters):
    """Parameters of `procedural`."""

    kind: Literal[
        "auto", "color", "cut", "hole", "metal_contamination", "thread", "scratch", "abrasion", "crack", "spot", "stain"
    ] = Field("auto", description="What to draw; auto takes it from the name of the class.")
    size: Literal["class", "kind"] = Field(
        "class", description="Areas like those of the class's training masks, or extents usual for the kind."
    )
    extent_frac_range: ShareRange | None = Field(
        None, description="Extent as a share of the image's shorter edge; overrides `size`."
    )
    tone: Literal["auto", "dark", "light"] = Field(
        "auto", description="Tone of the kinds for any surface; auto: dark unless the surface is."
    )
    strength_range: ShareRange | None = Field(
        None, description="How far the kinds for any surface go towards black or white; None: usual for the kind."
    )
    direction_deg_range: Range = Field(
        (0.0, 180.0), description="Direction of scratch, abrasion and crack: 0 lies along the rows, 90 along columns."
    )
    place: Literal["anywhere", "class"] = Field(
        "anywhere", description="Anywhere (on the object, if there is one), or near where the class's defects lie."
    )


class Procedural(Method):
    """Draws defects; see `carpet_data.synthesis.defect_models`."""

    version = 1
    makes_nulls = True
    Parameters: type[BaseModel] = ProceduralParameters

    def render(self, scene: Scene, parameters: ProceduralParameters, rng: np.random.Generator) -> Candidate:
        """Draw one defect on the scene's host; the mask holds every changed pixel.

        For a null scene, the host with no more than the traces of drawing, and an empty mask.

        Raises:
            Redraw: Nothing visible came of this draw.
            UsageError: The name of the class does not say the kind.
        """
        host, p = scene.host, parameters
        # The kind may depend on the weave there, and the place on the extent: a rough place comes first.
        fabric = None if scene.foreground is not None else _any_fabric(host)
        name = _kind(p.kind, scene.facts.class_name, fabric)
        kind = KINDS[name]
        extent = _extent(kind, p, scene.facts, host, rng)
        foreground = None if scene.foreground is None else object_core(host, scene.foreground)
        center = _place(scene, foreground, extent, p.place, rng)
        fabric = (find_fabric(host, center) or fabric) if fabric is not None else None
        if kind.draw is None and fabric is not None:
            # Yarns have a size, and so has what happens to them.
            unit = fabric.mean_pitch / _PITCH_UNITS
            low, high = DEFECTS[name].extent_units
            extent = float(np.clip(extent, 0.7 * low * unit, 1.15 * high * unit))
        center = _kept_inside(center, extent, scene, rng)
        if kind.draw is None:
            window, changed, reach = _woven(name, host, center, extent, fabric, rng)
        else:
            window = window_around(host, center, 0.75 * extent + 8)
            low, high = np.deg2rad(p.direction_deg_range)
            strength = p.strength_range or kind.strength
            look = look_at(window.pixels, p.tone, strength, (float(low), float(high)), rng)
            changed = kind.draw(window.pixels, window.center, extent, look, rng)
            reach = float(np.clip(0.012 * extent, 0.5, 1.2))
        made = settled(host, window, changed, reach, None if kind.lies_on else foreground)
        if not made.mask.any():
            raise Redraw(f"the {name} cannot be seen")
        if scene.null:
            made = _null(made, host, rng, filmed=kind.draw is None)
        drawn = {
            "kind": name,
            "centre": [round(center[0], 1), round(center[1], 1)],
            "extent_px": round(extent, 1),
            "pitch_px": None if fabric is None else [round(pitch, 2) for pitch in fabric.pitch],
            "weave_angle_deg": None if fabric is None else round(float(np.rad2deg(fabric.angle)), 2),
        }
        return replace(made, drawn=drawn)


def _null(made: Candidate, host: Image, rng: np.random.Generator, *, filmed: bool) -> Candidate:
    """The host where a defect would have been, with what drawing leaves besides the defect: blur and grain of its own.

    Only kinds that lay something down get the camera's blur and noise (`filmed`); the others only change tones.
    """
    x, y, width, height = made.box
    place = np.s_[y : y + height, x : x + width]
    window, mask = host[place].copy(), made.mask[place]
    if filmed:
        soft = blurred(window, woven.BLUR_PX)
        level = camera_noise(window.astype(np.float32) if window.ndim == 2 else window[..., 1].astype(np.float32))
        grained = np.clip(np.rint(soft + rng.normal(0, level, soft.shape)), 0, 255).astype(np.uint8)
        window[mask] = grained[mask]
    return candidate(host, (x, y), window, np.zeros_like(mask))


def _kind(asked: str, class_name: str, fabric: Fabric | None) -> str:
    if asked != "auto":
        return asked
    found = kind_of(class_name, woven=fabric is not None)
    if found is None:
        raise UsageError(
            f"unknown kind of defect: the class name {class_name!r} does not say it",
            hint=f"set parameters.kind in the recipe to one of: {', '.join(KINDS)}",
        )
    return found


def _any_fabric(host: Image) -> Fabric | None:
    """The weave at one of three places: a cloth may be out of true at one of them."""
    height, width = host.shape[:2]
    for share in (0.5, 0.25, 0.75):
        found = find_fabric(host, (share * (width - 1), share * (height - 1)))
        if found is not None:
            return found
    return None


def _place(
    scene: Scene, foreground: Mask | None, extent: float, how: str, rng: np.random.Generator
) -> tuple[float, float]:
    height, width = scene.host.shape[:2]
    if how == "class" and scene.facts.centers_frac:
        x, y = scene.facts.centers_frac[int(rng.integers(len(scene.facts.centers_frac)))]
        x, y = x + rng.normal(0, 0.04), y + rng.normal(0, 0.04)
        place = (float(np.clip(x, 0, 1) * (width - 1)), float(np.clip(y, 0, 1) * (height - 1)))
        if foreground is None or foreground[int(place[1]), int(place[0])]:
            return place
    if foreground is None:
        return float(rng.uniform(0, width - 1)), float(rng.uniform(0, height - 1))
    # As far inside the object as the defect is large, or where the object is about as thick as it gets.
    depth = depth_of(foreground)
    deepest = float(depth.max())
    if deepest <= 0:
        raise Redraw("the host shows no object")
    on_object = np.flatnonzero(depth >= min(0.4 * extent, 0.6 * deepest))
    row, column = divmod(int(on_object[int(rng.integers(len(on_object)))]), width)
    return float(column), float(row)


def _extent(kind: Kind, parameters: ProceduralParameters, facts: Facts, host: Image, rng: np.random.Generator) -> float:
    height, width = host.shape[:2]
    short = min(height, width)
    areas = [area for area in facts.areas_frac if area > 0]
    if parameters.extent_frac_range is not None:
        extent = rng.uniform(*parameters.extent_frac_range) * short
    elif parameters.size == "class" and areas:
        # Between two areas of the class on a log scale, so that few examples give a range and not copies of a size.
        low, high = (areas[int(rng.integers(len(areas)))] for _ in range(2))
        area = float(np.exp(rng.uniform(np.log(min(low, high)), np.log(max(low, high))) + rng.normal(0, 0.1)))
        extent = np.sqrt(area * height * width / kind.fill)
    else:
        extent = rng.uniform(*kind.extent_frac) * short
    return float(np.clip(extent, 1.0, 0.9 * short))


def _kept_inside(
    center: tuple[float, float], extent: float, scene: Scene, rng: np.random.Generator
) -> tuple[float, float]:
    """Move the place off the border, unless the class's defects reach it as often as this draw asks."""
    if scene.foreground is not None or rng.random() < scene.facts.touches_border_share:
        return center
    height, width = scene.host.shape[:2]
    margin = min(0.8 * extent + 3, (min(height, width) - 1) / 2)
    return float(np.clip(center[0], margin, width - 1 - margin)), float(np.clip(center[1], margin, height - 1 - margin))


def _woven(
    name: str, host: Image, center: tuple[float, float], extent: float, fabric: Fabric | None, rng: np.random.Generator
) -> tuple[Window, F32, float]:
    if extent < _SMALLEST_WOVEN_PX:
        raise Redraw(f"a {name} of {extent:.0f} px is too small to show yarns")
    if fabric is not None:
        unit = fabric.mean_pitch / _PITCH_UNITS
    else:
        # Nothing tells the width of a yarn here, so it goes with the defect.
        unit = extent / (1024 * float(np.mean(KINDS[name].extent_frac)))
    window = window_around(host, center, 0.75 * extent + 26 * unit)
    return window, woven.draw(name, window, extent, unit, fabric, rng), max(1.1 * unit, 0.6)

"""gan: a small few-shot GAN; one network learns clean background, a branch learns defects with their masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from carpet_data.learned.compose import composed
from carpet_data.learned.gan.parameters import BRANCH, CLASSES, GanFitParameters, GanParameters
from carpet_data.learned.load_fitted import label_of, opened, reading
from carpet_data.learned.windows import CropWindow, around, cut, enlarged, mask_on, without_cut_off
from carpet_data.synthesis.contract import Candidate, Donor, Image, LearnedMethod, Mask, Redraw, Scene
from carpet_data.synthesis.engine.gates import area_range
from carpet_data.synthesis.ops.masks import mask_box
from carpet_data.synthesis.ops.placement import drawn_corner, same_part
from carpet_data.synthesis.ops.pose import share_on_object, turn_between

if TYPE_CHECKING:
    from carpet_data.learned.crops import CropDataset
    from carpet_data.learned.fit_runtime import Runtime
    from carpet_data.learned.gan.learner import GanLearner
    from carpet_data.learned.gan.networks import DefectBranch

__all__ = ["Gan"]

_ZOOM = (0.85, 1.2)
_OFF_PART = 0.35
_AREA_SLACK = 1.4

F32 = NDArray[np.float32]


class Gan(LearnedMethod):
    """Defects drawn by a generator, with their masks, on the background of the host; see `GanParameters`."""

    version = 1
    donors_needed = 1
    least_donors = 2
    Parameters: type[BaseModel] = GanParameters

    def __init__(self) -> None:
        self._branch: DefectBranch | None = None
        self._classes: tuple[str, ...] = ()

    def learner(self, data: CropDataset, parameters: GanParameters, runtime: Runtime) -> GanLearner:
        """What a fit trains."""
        from carpet_data.learned.gan.learner import GanLearner

        return GanLearner(data, parameters, runtime)

    def open(self, folder: Path, device: str) -> None:
        """Load what `GanLearner.save` wrote.

        Raises:
            DataError: The folder does not hold the networks of this method.
            MissingExtraError: The extra `generate` is not installed.
            UsageError: The device is unknown or not available.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.networks import devices  # isort: skip
        from carpet_data.learned.gan.networks import DefectBranch

        found = devices.resolve(device)
        with reading(folder):
            self._classes = tuple(json.loads((folder / CLASSES).read_text(encoding="utf-8")))
            branch = DefectBranch.from_pretrained(folder / BRANCH, local_files_only=True)
        self._branch = branch.to(found).eval()

    def render(self, scene: Scene, parameters: GanParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate; size and, on objects, place come from the donor, pixels and mask from the network.

        Raises:
            DataError: No model was opened, or it does not know the class.
            Redraw: The defect has no place, or no drawn defect is usable.
        """
        branch, label = opened(self._branch), label_of(scene.facts.class_name, self._classes)
        window, share = _placed(scene, scene.donors[0], parameters.fit, rng)
        background = cut(scene.host, window, int(branch.config.crop_px))
        crops, masks = _generated(branch, label, background, parameters, rng)
        number, within = _first_sound(masks, window, share, scene, parameters.mask_level)
        image, mask = composed(scene.host, window, crops[number], within, feather_px=parameters.feather_px)
        if not mask.any():
            raise Redraw("the drawn defect cannot be seen on this host")
        drawn: dict[str, Any] = {"x": window.x, "y": window.y, "side": window.side, "draw": number}
        return Candidate(image, mask, window.box(*scene.host.shape[:2]), drawn)


def _generated(
    branch: DefectBranch, label: int, background: Image, parameters: GanParameters, rng: np.random.Generator
) -> tuple[F32, F32]:
    """Several defects on a crop of the host: n x c x c x3 in levels, and masks n x c x c."""
    import torch

    from carpet_data.learned.fit_runtime import levels, noise, tensors
    from carpet_data.learned.gan.networks import grains_of
    from carpet_data.networks import devices

    device: torch.device = branch.device
    count, strength = parameters.draws, parameters.truncation
    latents = strength * noise(rng, (count, branch.config.latent), device)
    grain = grains_of(rng, count, background.shape[0], device, strength)
    labels = torch.full((count,), label, device=device)
    below = tensors(background[None], device).expand(count, -1, -1, -1)
    with devices.one_thread(device), torch.no_grad():
        made, masks = branch(below, latents, labels, grain)
    return levels(made), masks[:, 0].cpu().numpy()


def _first_sound(masks: F32, window: CropWindow, share: float | None, scene: Scene, level: float) -> tuple[int, Mask]:
    """The first of several drawn masks that can be used: its number, and its mask on the host, bool HxW.

    Raises:
        Redraw: None can.
    """
    height, width = scene.host.shape[:2]
    found = "no defect was drawn"
    for number, mask in enumerate(masks):
        within = without_cut_off(mask_on((height, width), window, enlarged(mask, window) > level), window)
        problem = _problem(within, share, scene)
        if problem is None:
            return number, within
        found = problem
    raise Redraw(found)


def _placed(
    scene: Scene, donor: Donor, fit: GanFitParameters, rng: np.random.Generator
) -> tuple[CropWindow, float | None]:
    """The window on the host, and which share of the defect should lie on the object; None for textures.

    Raises:
        Redraw: The donor has no defect pixels, or the object no such part.
    """
    height, width = scene.host.shape[:2]
    left, top, wide, high = mask_box(donor.mask)
    tight = np.ascontiguousarray(donor.mask[top : top + high, left : left + wide])
    zoom = float(rng.uniform(*_ZOOM))
    if scene.foreground is None or donor.foreground is None:
        side = around((0, 0, wide, high), fit.crop_px, fit.context * zoom).side
        x, y = (int(rng.integers(room + 1)) if (room := size - side) > 0 else room // 2 for size in (width, height))
        return CropWindow(x, y, side), None
    shape = _turned(tight, turn_between(donor.foreground, scene.foreground))
    corner = drawn_corner(same_part(shape, (height, width), donor, scene.foreground), rng)
    box = (*corner, shape.shape[1], shape.shape[0])
    return around(box, fit.crop_px, fit.context * zoom), share_on_object(donor)


def _turned(mask: Mask, angle_deg: float) -> Mask:
    """A mask turned counter-clockwise, on a canvas that just holds it."""
    height, width = mask.shape
    reach = int(np.ceil(np.hypot(height, width))) + 2
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    matrix[0, 2] += (reach - width) / 2
    matrix[1, 2] += (reach - height) / 2
    soft = np.asarray(cv2.warpAffine(mask.astype(np.float32), matrix, (reach, reach)))
    found = soft > min(0.5, float(soft.max()) / 2)
    x, y, wide, high = cv2.boundingRect(found.view(np.uint8))
    return np.ascontiguousarray(found[y : y + high, x : x + wide])


def _problem(within: Mask, share: float | None, scene: Scene) -> str | None:
    """Why a drawn mask cannot be used; None if it can."""
    if not within.any():
        return "the drawn mask is empty, or cut off at the edge of its window"
    low, high = area_range(scene.facts, _AREA_SLACK)
    if not low <= float(within.mean()) <= high:
        return "the drawn mask is smaller or larger than those of the class"
    if share is not None and scene.foreground is not None:
        on_object = float(scene.foreground[within].mean())
        if abs(on_object - share) > _OFF_PART:
            return "the drawn mask is not on that part of the object"
    return None

"""ddpm-inpaint: a small diffusion network repaints part of a host as a defect like the class's few donors.

A denoising network sees a noisy crop, the mask of the new defect, and the background around it (conditional inpainting:
Saharia et al., "Palette", 2022), and the class (classifier-free guidance: Ho and Salimans 2022). It is trained on clean
background first, then on defects. A new defect starts from noise within a new shape, or from a donor paste with some
noise (SDEdit, Meng et al. 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from carpet_data.learned.compose import composed
from carpet_data.learned.ddpm_inpaint.new_masks import new_mask
from carpet_data.learned.ddpm_inpaint.parameters import DdpmInpaintParameters
from carpet_data.learned.load_fitted import opened
from carpet_data.learned.windows import around, cut, cut_mask
from carpet_data.synthesis.contract import Candidate, Image, LearnedMethod, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.masks import grown, mask_box

if TYPE_CHECKING:
    from carpet_data.learned.crops import CropDataset
    from carpet_data.learned.ddpm_inpaint.sampling import Sampler
    from carpet_data.learned.fit_loop import Learner
    from carpet_data.learned.fit_runtime import Runtime

__all__ = ["DdpmInpaint"]

_LEAST_SEEN = 0.3
_RIM_PX = 3


class DdpmInpaint(LearnedMethod):
    """Repaints part of the host as a defect; see `DdpmInpaintParameters`."""

    version = 1
    donors_needed = 2
    least_donors = 2
    Parameters: type[BaseModel] = DdpmInpaintParameters

    def __init__(self) -> None:
        self._sampler: Sampler | None = None

    def learner(self, data: CropDataset, parameters: DdpmInpaintParameters, runtime: Runtime) -> Learner:
        """What a fit trains."""
        from carpet_data.learned.ddpm_inpaint.learner import DdpmInpaintLearner

        return DdpmInpaintLearner(data, parameters, runtime)

    def open(self, folder: Path, device: str) -> None:
        """Load what a fit saved.

        Raises:
            DataError: The folder does not hold it.
            MissingExtraError: The extra `generate` is not installed.
            UsageError: The device is unknown or not available.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.learned.ddpm_inpaint.sampling import Sampler

        self._sampler = Sampler.open(folder, device)

    def render(self, scene: Scene, parameters: DdpmInpaintParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate.

        Raises:
            DataError: No model was opened, or it does not know the class.
            Redraw: The defect has no place on the host, or cannot be seen.
        """
        p, sampler = parameters, opened(self._sampler)
        label = sampler.label(scene.facts.class_name)
        from_noise = p.start == "noise" or (p.start == "auto" and bool(rng.random() < p.noise_share))
        drawn: dict[str, Any]
        if from_noise:
            shown, strength = scene.host, 1.0
            mask, drawn = new_mask(
                scene, rng, morph_range=p.morph_range, deform_frac=p.deform_frac, bend_frac=p.bend_frac
            )
        else:
            paste = DonorPaste().render(scene, DonorPasteParameters.model_validate({}), rng)
            shown, mask, drawn = paste.image, paste.mask, dict(paste.drawn)
            strength = float(rng.uniform(*p.strength_range))
        window = around(mask_box(mask), sampler.crop_px, sampler.context)
        made = sampler.sample(
            cut(scene.host, window, sampler.crop_px)[None],
            cut(shown, window, sampler.crop_px)[None],
            cut_mask(mask, window, sampler.crop_px)[None],
            np.array([label]),
            rng,
            strength=strength,
            steps=p.sample_steps,
            guidance=p.guidance,
            solver=p.sampler,
        )[0]
        threshold = None if p.visible_levels is None else float(p.visible_levels)
        # A rim of up to one network pixel, over which the change fades.
        within = grown(mask, int(np.clip(round(window.side / sampler.crop_px), 1, _RIM_PX)))
        detail = None if from_noise else _joined(scene.host, shown, within)
        image, seen = composed(scene.host, window, made, within, detail=detail, threshold=threshold)
        if seen.sum() < _LEAST_SEEN * mask.sum():
            raise Redraw("most of the change cannot be seen")
        drawn = {
            "start": "noise" if from_noise else "paste",
            "strength": round(strength, 3),
            "window": [window.x, window.y, window.side],
            **drawn,
        }
        return Candidate(image, seen, window.box(*scene.host.shape[:2]), drawn)


def _joined(host: Image, shown: Image, within: Mask) -> Image:
    """The paste inside the mask, the host around it."""
    image: Image = host.copy()
    image[within] = shown[within]
    return image

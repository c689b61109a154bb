"""ddpm-inpaint: a small diffusion network repaints the place of a new defect, as the class's few donors look.

A denoising network sees a noisy crop, where the defect is to be, and the ground around it (inpainting by condition:
Saharia et al., "Palette", 2022), and is told the class (guidance without a classifier: Ho and Salimans 2022). It learns
the ground first, from good images, then the defects. A new defect starts from noise within a new shape, or from a
donor paste that is noised in part and so made anew (SDEdit, Meng et al. 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from carpet_data.learned.compose import composed
from carpet_data.learned.ddpm_inpaint.new_masks import new_mask
from carpet_data.learned.load_fitted import opened
from carpet_data.learned.windows import around, cut, cut_mask
from carpet_data.synthesis.contract import Candidate, Image, LearnedMethod, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.masks import grown, mask_box
from carpet_data.synthesis.recipe.fit_parameters import FitParameters, check_levels

if TYPE_CHECKING:
    from carpet_data.learned.crops import Lesson
    from carpet_data.learned.ddpm_inpaint.sampling import Sampler
    from carpet_data.learned.fit_runtime import Place
    from carpet_data.learned.learning import Learner

__all__ = ["DdpmInpaint", "DdpmInpaintFit", "DdpmInpaintParameters"]

_LEAST_SEEN = 0.3
_RIM_PX = 3

Share = Annotated[float, Field(ge=0, le=1)]


class DdpmInpaintFit(FitParameters):
    """How the network of `ddpm-inpaint` is built and fitted."""

    widths: tuple[int, ...] = Field(
        (48, 80, 112), min_length=2, max_length=6, description="Channels of each level; each halves the size."
    )
    block_px: Literal[1, 2, 4] = Field(2, description="The network sees pixels in blocks so wide: faster, less sharp.")
    layers: int = Field(1, ge=1, le=4, description="Residual blocks a level.")
    pretrain_share: float = Field(0.25, ge=0, lt=1, description="Share of the steps on good ground alone, at first.")
    defect_share: float = Field(0.5, gt=0, le=1, description="Share of crops that show defects, after that.")
    inside_share: Share = Field(
        0.8, description="Share of the loss that pixels inside the mask carry, however few they are."
    )
    class_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of crops whose class is kept from the network: guidance needs it."
    )

    @field_validator("widths")
    @classmethod
    def _in_groups(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 8 or width % 8 for width in value):
            raise ValueError("widths must be multiples of 8")
        return value

    @model_validator(mode="after")
    def _levels_fit(self) -> DdpmInpaintFit:
        check_levels(self.crop_px, self.block_px, len(self.widths))
        return self


class DdpmInpaintParameters(BaseModel):
    """Parameters of `ddpm-inpaint`, version 1: all but `fit` can be changed without fitting again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: DdpmInpaintFit = Field(
        default_factory=lambda: DdpmInpaintFit.model_validate({}), description="How the network is fitted."
    )
    start: Literal["auto", "paste", "noise"] = Field(
        "auto",
        description="paste: a donor paste is made anew; noise: a new shape is filled from nothing; auto: either, by "
        "`noise_share`.",
    )
    noise_share: Share = Field(0.25, description="Share of images that start from noise where `start` is auto.")
    strength_range: tuple[Share, Share] = Field(
        (0.4, 0.6), description="How far a paste is noised: 0 leaves it as it is, 1 leaves nothing of it."
    )
    sampler: Literal["ddim", "dpm-solver"] = Field(
        "dpm-solver", description="ddim (Song et al. 2021) or DPM-Solver++ (Lu et al. 2022)."
    )
    sample_steps: int = Field(12, ge=1, le=1000, description="Passes through the network for an image.")
    guidance: float = Field(
        1.5, ge=0, le=20, description="How far away from a crop of any class; 1: as trained, and twice as fast."
    )
    morph_range: tuple[Share, Share] = Field(
        (0.15, 0.6), description="New shapes: how far they go from the first donor's towards the second's."
    )
    deform_frac: float = Field(
        0.08, ge=0, le=0.5, description="New shapes: displacement of the edge, as a share of the radius."
    )
    bend_frac: float = Field(
        0.2,
        ge=0,
        le=0.6,
        description="New thin shapes: how far the ends leave the axis, as a share of half the length.",
    )
    visible_levels: int | None = Field(
        None, ge=1, le=128, description="Change of a grey value that counts as visible; None: by the host's own noise."
    )

    @field_validator("strength_range", "morph_range")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the first number ({value[0]}) must not be above the second ({value[1]})")
        return value


class DdpmInpaint(LearnedMethod):
    """Repaints a place of the host as a defect; see `DdpmInpaintParameters`."""

    version = 1
    donors_needed = 2
    least_donors = 2
    Parameters: type[BaseModel] = DdpmInpaintParameters

    def __init__(self) -> None:
        self._sampler: Sampler | None = None

    def learner(self, lesson: Lesson, parameters: DdpmInpaintParameters, place: Place) -> Learner:
        """What a fit trains."""
        from carpet_data.learned.ddpm_inpaint.learner import DdpmInpaintLearner

        return DdpmInpaintLearner(lesson, parameters, place)

    def open(self, folder: Path, device: str) -> None:
        """Load what a fit saved.

        Raises:
            DataError: The folder does not hold it.
            MissingExtraError: The extra `generate` is not installed.
            UsageError: There is no such device.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.learned.ddpm_inpaint.sampling import Sampler

        self._sampler = Sampler.open(folder, device)

    def render(self, scene: Scene, parameters: DdpmInpaintParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate.

        Raises:
            DataError: No model was opened, or it does not know the class.
            Redraw: There is no room for the defect, or it cannot be seen.
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
        # A rim of up to a pixel of the network's, over which the change fades.
        within = grown(mask, int(np.clip(round(window.side / sampler.crop_px), 1, _RIM_PX)))
        detail = None if from_noise else _joined(scene.host, shown, within)
        image, seen = composed(scene.host, window, made, within, detail=detail, threshold=threshold)
        if seen.sum() < _LEAST_SEEN * mask.sum():
            raise Redraw("hardly any of the change can be seen")
        drawn = {
            "start": "noise" if from_noise else "paste",
            "strength": round(strength, 3),
            "window": [window.x, window.y, window.side],
            **drawn,
        }
        return Candidate(image, seen, window.box(*scene.host.shape[:2]), drawn)


def _joined(host: Image, shown: Image, within: Mask) -> Image:
    """The paste where it may be seen, the host around it."""
    image: Image = host.copy()
    image[within] = shown[within]
    return image

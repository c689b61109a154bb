"""pretrained-inpaint: a large pipeline of diffusers paints the defect into the mask of a donor paste.

The network is Stable Diffusion, SDXL, FLUX fill or any other inpainting pipeline that the user has; a LoRA (see
`learner`) may be trained on the classes first. Only the pixels of the mask are taken from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carpet_data.errors import DataError, WeightsError
from carpet_data.learned.compose import composed
from carpet_data.learned.load_fitted import opened
from carpet_data.learned.pretrained_inpaint.parameters import PretrainedParameters, prompt_of
from carpet_data.learned.windows import around, cut, cut_mask
from carpet_data.synthesis.contract import Box, Candidate, Image, LearnedMethod, Redraw, Scene
from carpet_data.synthesis.engine import gates
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.masks import grown, mask_box
from carpet_data.synthesis.recipe.model import GateRules

if TYPE_CHECKING:
    from carpet_data.learned.crops import CropDataset
    from carpet_data.learned.fit_loop import Learner
    from carpet_data.learned.fit_runtime import Runtime
    from carpet_data.learned.pretrained_inpaint.origin import Base
    from carpet_data.learned.pretrained_inpaint.pipeline import Painter

_MARGIN_PX = 8
"""Margin around the mask that the gates see."""


class PretrainedInpaint(LearnedMethod):
    """A donor paste gives place and mask, a pretrained pipeline paints, gates choose the best of several."""

    version = 1
    donors_needed = 1
    least_donors = 2
    Parameters = PretrainedParameters

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._record: dict[str, Any] = {}
        self._base: Base | None = None
        self._device = "cpu"
        self._opened: tuple[str, Painter] | None = None

    def learner(self, data: CropDataset, parameters: PretrainedParameters, runtime: Runtime) -> Learner:
        """What a fit trains; with `lora_rank: 0` nothing, the pipeline is then only checked.

        Raises:
            MissingExtraError: peft or transformers is not installed.
            WeightsError: The pipeline is not available, or is not for inpainting.
            DataError: A LoRA cannot be trained on this pipeline.
        """
        from carpet_data.learned.pretrained_inpaint import learner, origin

        fit = parameters.fit
        base = origin.find(fit.pipeline, revision=fit.revision, variant=fit.variant)
        kind = learner.LoraLearner if fit.lora_rank else learner.UntrainedLearner
        return kind(data, parameters, base, runtime)

    def open(self, folder: Path, device: str) -> None:
        """Find the pipeline that a fit was made with; it is loaded with the first image.

        Raises:
            WeightsError: The pipeline is gone or has changed.
            DataError: The folder holds no model of this method.
            MissingExtraError: The extra `generate` is not installed.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.learned.pretrained_inpaint import origin

        path = folder / origin.DESCRIPTION
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            name, revision, variant = record["pipeline"], record["revision"], record["variant"]
            wanted = record["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"invalid record of a fitted pipeline ({type(error).__name__}: {error})",
                where=path,
                hint="fit the recipe again",
            ) from error
        # A relative folder depends on where the command runs, so the folder that was found counts.
        base = origin.find(name if revision else record["folder"], revision=revision, variant=variant)
        if base.sha256 != wanted:
            raise WeightsError(
                "the settings or weights of the pipeline have changed since the fit",
                where=base.folder,
                hint="restore the pipeline of the fit, or fit the recipe again with --overwrite",
            )
        self._folder, self._record, self._base, self._device, self._opened = folder, record, base, device, None

    def _painter(self, base: Base, p: PretrainedParameters) -> Painter:
        """The pipeline, loaded as the recipe says."""
        import torch

        from carpet_data.learned.pretrained_inpaint.pipeline import Painter, dtype_of

        key = f"{p.dtype} {p.memory.model_dump_json()}"
        if self._opened is None or self._opened[0] != key:
            self._opened = None  # frees its memory before the other one is loaded
            device = torch.device(self._device)
            lora = self._folder if self._record["lora_rank"] else None
            self._opened = (key, Painter.open(base, device, dtype_of(p.dtype, device), p.memory, lora))
        return self._opened[1]

    def render(self, scene: Scene, parameters: PretrainedParameters, rng: np.random.Generator) -> Candidate:
        """Paint a defect on the scene's host.

        Raises:
            Redraw: The donor has no place, or the change cannot be seen.
            DataError: No model was opened, or the pipeline cannot do what the recipe asks.
        """
        import torch

        from carpet_data.networks import devices

        p, base = parameters, opened(self._base)
        pasted = DonorPaste().render(scene, p.paste, rng)
        if not pasted.mask.any():
            raise Redraw("nothing of the donor paste can be seen")
        within = np.asarray(grown(pasted.mask, p.dilate_px), np.bool_) if p.dilate_px else pasted.mask
        size = self._record.get("crop_px", p.fit.crop_px)
        window = around(mask_box(within), size, self._record.get("context", p.fit.context))
        shown = pasted.image if p.start == "paste" else scene.host
        prompt = prompt_of(scene.facts.class_name, p.fit, p.prompts)
        box = _with_margin(mask_box(within), scene.host)
        made = []
        with devices.one_thread(torch.device(self._device)), devices.deterministic(torch.device(self._device)):
            painter = self._painter(base, p)
            for _ in range(p.best_of):
                painted = painter.paint(
                    cut(shown, window, size),
                    cut_mask(within, window, size) > 0,
                    prompt,
                    rng,
                    negative=p.negative_prompt,
                    prompt_noise=p.prompt_noise,
                    guidance=p.guidance,
                    steps=p.sample_steps,
                    strength=p.strength if p.start == "paste" else 1.0,
                )
                image, mask = composed(scene.host, window, painted, within, detail=shown)
                made.append(Candidate(image, mask, box))
        best, rank = _best(made, scene)
        record = {"prompt": prompt, "start": p.start, "best_of": p.best_of, "chosen": rank, "paste": dict(pasted.drawn)}
        return Candidate(best.image, best.mask, best.box, record)


def _best(made: list[Candidate], scene: Scene) -> tuple[Candidate, int]:
    """The most visible candidate that passes the gates, and its number; if none passes, the most visible one.

    A pipeline that misses the prompt continues the background; what differs most from it is most likely a defect (so
    DefectFill chooses too). The gates are those of a recipe that sets none: a method does not see the recipe's own.
    """
    seen = [(rank, one, gates.judge(one, scene, GateRules())) for rank, one in enumerate(made) if one.mask.any()]
    if not seen:
        raise Redraw("the painted change cannot be seen")
    rank, best, _ = max(seen, key=lambda one: (one[2].refused_by is None, one[2].scores["visible"]))
    return best, rank


def _with_margin(box: Box, host: Image) -> Box:
    """The box with some background around it, inside the host."""
    left, top = max(0, box[0] - _MARGIN_PX), max(0, box[1] - _MARGIN_PX)
    right = min(host.shape[1], box[0] + box[2] + _MARGIN_PX)
    bottom = min(host.shape[0], box[1] + box[3] + _MARGIN_PX)
    return left, top, right - left, bottom - top

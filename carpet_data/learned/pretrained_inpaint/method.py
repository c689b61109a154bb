"""Pretrained inpainting: a large pipeline of diffusers paints the defect into the mask of a donor paste.

The network that knows the world is Stable Diffusion, SDXL, FLUX fill or any other inpainting pipeline that the user
has; a LoRA (the module `learner` beside this one) may teach it the classes first. Only the pixels of the mask are taken
from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError, WeightsError
from carpet_data.learned.compose import composed
from carpet_data.learned.load_fitted import opened
from carpet_data.learned.pretrained_inpaint import prompts
from carpet_data.learned.pretrained_inpaint.parameters import PretrainedParameters
from carpet_data.learned.windows import Window, around, cut, cut_mask
from carpet_data.synthesis.contract import Box, Candidate, Image, LearnedMethod, Mask, Redraw, Scene
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

_LOOK_PX = 8
"""Gates look at so much of the host around the mask."""


class PretrainedInpaint(LearnedMethod):
    """A donor paste gives place and mask, a pretrained pipeline paints, gates choose the best of several."""

    version = 1
    donors_needed = 1
    least_donors = 2
    Parameters = PretrainedParameters

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._said: dict[str, Any] = {}
        self._base: Base | None = None
        self._device = "cpu"
        self._opened: tuple[str, Painter] | None = None

    def learner(self, data: CropDataset, parameters: PretrainedParameters, runtime: Runtime) -> Learner:
        """What a fit trains; with `lora_rank: 0` nothing, the pipeline is then only looked at.

        Raises:
            MissingExtraError: peft or transformers is not installed.
            WeightsError: The pipeline cannot be had, or is not for inpainting.
            DataError: A LoRA is asked for and cannot be trained on this pipeline.
        """
        from carpet_data.learned.pretrained_inpaint import learner, origin

        fit = parameters.fit
        base = origin.find(fit.pipeline, revision=fit.revision, variant=fit.variant)
        kind = learner.LoraLearner if fit.lora_rank else learner.UntrainedLearner
        return kind(data, parameters, base, runtime)

    def open(self, folder: Path, device: str) -> None:
        """Find the pipeline that a fit was made on; it is loaded when the first image is asked for.

        Args:
            folder: What the learner's `save` wrote.
            device: Where it will compute.

        Raises:
            WeightsError: The pipeline is not there any more, or not the same.
            DataError: The folder holds no model of this method.
            MissingExtraError: The extra `generate` is not installed.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.learned.pretrained_inpaint import origin

        path = folder / origin.DESCRIPTION
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            name, revision, variant = said["pipeline"], said["revision"], said["variant"]
            wanted = said["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"this is no fitted pipeline ({type(error).__name__}: {error})", where=path, hint="fit the recipe again"
            ) from error
        # A relative folder means another one from elsewhere, so the place where it was found counts.
        base = origin.find(name if revision else said["folder"], revision=revision, variant=variant)
        if base.sha256 != wanted:
            raise WeightsError(
                "the pipeline has changed since the fit: its settings or weights are others",
                where=base.folder,
                hint="put the pipeline back that it was fitted on, or fit the recipe again with --overwrite",
            )
        self._folder, self._said, self._base, self._device, self._opened = folder, said, base, device, None

    def _painter(self, base: Base, p: PretrainedParameters) -> Painter:
        """The pipeline as the recipe wants it loaded."""
        import torch

        from carpet_data.learned.pretrained_inpaint.pipeline import Painter, dtype_of

        key = f"{p.dtype} {p.memory.model_dump_json()}"
        if self._opened is None or self._opened[0] != key:
            self._opened = None  # the memory first, then the other one
            device = torch.device(self._device)
            lora = self._folder if self._said["lora_rank"] else None
            self._opened = (key, Painter.open(base, device, dtype_of(p.dtype, device), p.memory, lora))
        return self._opened[1]

    def render(self, scene: Scene, parameters: PretrainedParameters, rng: np.random.Generator) -> Candidate:
        """Paint a defect on the scene's host.

        Raises:
            Redraw: The donor has no place, or what was painted cannot be seen.
            DataError: No model was opened, or the pipeline cannot do what the recipe asks.
        """
        import torch

        from carpet_data.networks import devices

        p, base = parameters, opened(self._base)
        pasted = DonorPaste().render(scene, p.paste, rng)
        if not pasted.mask.any():
            raise Redraw("nothing of the donor paste can be seen")
        within = np.asarray(grown(pasted.mask, p.dilate_px), np.bool_) if p.dilate_px else pasted.mask
        size = self._said.get("crop_px", p.fit.crop_px)
        window = around(mask_box(within), size, self._said.get("context", p.fit.context))
        begun = pasted.image if p.start == "paste" else scene.host
        name = scene.facts.class_name
        prompt = prompts.prompt_of(name, p.prompts, p.fit.prompts, template=p.fit.prompt, subject=p.fit.subject)
        with devices.one_thread(torch.device(self._device)), devices.deterministic(torch.device(self._device)):
            painter = self._painter(base, p)
            made = [
                self._candidate(scene, painter, begun, within, window, size, prompt, p, rng) for _ in range(p.best_of)
            ]
        best, rank = _best(made, scene)
        record = {"prompt": prompt, "start": p.start, "best_of": p.best_of, "chosen": rank, "paste": dict(pasted.drawn)}
        return Candidate(best.image, best.mask, best.box, record)

    def _candidate(
        self,
        scene: Scene,
        painter: Painter,
        begun: Image,
        within: Mask,
        window: Window,
        size: int,
        prompt: str,
        p: PretrainedParameters,
        rng: np.random.Generator,
    ) -> Candidate:
        painted: NDArray[np.float32] = painter.paint(
            cut(begun, window, size),
            cut_mask(within, window, size) > 0,
            prompt,
            rng,
            negative=p.negative_prompt,
            prompt_noise=p.prompt_noise,
            guidance=p.guidance,
            steps=p.sample_steps,
            strength=p.strength if p.start == "paste" else 1.0,
        )
        image, mask = composed(scene.host, window, painted, within, detail=begun)
        return Candidate(image, mask, _looked(mask_box(within), scene.host))


def _best(made: list[Candidate], scene: Scene) -> tuple[Candidate, int]:
    """The most visible of those that pass the gates, and which one it is; of none, the most visible.

    A pipeline that has not understood the prompt paints the ground on; what differs most from it is most a defect (so
    DefectFill chooses too). The gates are those of a recipe that sets none: a method does not see the recipe's own.
    """
    seen = [(rank, one, gates.judge(one, scene, GateRules())) for rank, one in enumerate(made) if one.mask.any()]
    if not seen:
        raise Redraw("what was painted cannot be seen")
    rank, best, _ = max(seen, key=lambda one: (one[2].refused_by is None, one[2].scores["visible"]))
    return best, rank


def _looked(box: Box, host: Image) -> Box:
    """The box with some ground around it, inside the host."""
    left, top = max(0, box[0] - _LOOK_PX), max(0, box[1] - _LOOK_PX)
    right = min(host.shape[1], box[0] + box[2] + _LOOK_PX)
    bottom = min(host.shape[0], box[1] + box[3] + _LOOK_PX)
    return left, top, right - left, bottom - top

"""Fitting the network of ddpm-inpaint: good ground first, then defects, each step a function of seed and number."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from carpet_data.learned.crops import Lesson
from carpet_data.learned.ddpm_inpaint.sampling import Sampler, hidden, seen
from carpet_data.learned.denoiser import Denoiser, clean_of, schedule, weight
from carpet_data.learned.fit_runtime import Place, noise, restore, state_of, tensors
from carpet_data.learned.learning import Drawn
from carpet_data.learned.lr_schedule import follow, rate
from carpet_data.learned.scale import Scale
from carpet_data.networks import devices

if TYPE_CHECKING:
    from carpet_data.learned.ddpm_inpaint.method import DdpmInpaintParameters

__all__ = ["DdpmInpaintLearner"]

_MOST_WARM = 200
_CLIP = 1.0
_WEIGHT_DECAY = 0.01
_SEED_KEY = 1


class DdpmInpaintLearner:
    """Trains a `Denoiser` on a lesson; implements `carpet_data.learned.learning.Learner`.

    Args:
        lesson: The train side as crops.
        parameters: Of the recipe.
        place: Where.
    """

    def __init__(self, lesson: Lesson, parameters: DdpmInpaintParameters, place: Place) -> None:
        self._lesson, self._parameters, self._place = lesson, parameters, place
        fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        with devices.seeded(place.seed, _SEED_KEY):
            model = Denoiser(7, 3, lesson.unknown + 1, fit.widths, fit.block_px, fit.layers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=fit.learning_rate, weight_decay=_WEIGHT_DECAY)
        self._model, self._optimizer = place.prepare(model.train(), optimizer)
        self._averaged = copy.deepcopy(place.bare(self._model)).eval().requires_grad_(False)
        self._scale = Scale.of(lesson.crops())
        self._schedule = schedule()
        self._kept = self._schedule.alphas_cumprod.to(place.device)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimisation step on a fresh batch; its loss inside and outside the masks."""
        fit, place = self._parameters.fit, self._place
        rng = place.rng("step", number)
        defect_share = 0.0 if number < round(fit.pretrain_share * fit.steps) else fit.defect_share
        batch = self._lesson.draw(rng, fit.batch_size, defect_share)
        untold = rng.random(fit.batch_size) < fit.class_dropout
        labels = torch.from_numpy(np.where(untold, self._lesson.unknown, batch.labels)).to(place.device)
        times = torch.from_numpy(rng.integers(len(self._kept), size=fit.batch_size)).to(place.device)
        clean = self._scale(tensors(batch.images, place.device))
        mask = torch.from_numpy(batch.masks).to(place.device)[:, None]
        grain = noise(rng, tuple(clean.shape), place.device)
        kept = self._kept[times][:, None, None, None]
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * grain
        for group in self._optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(number, fit.steps, most_warm=_MOST_WARM)
        with place.autocast():
            found = self._model(seen(noisy, clean, mask), times, labels)
        error = (clean_of(found.float(), noisy, kept) - clean).square() * weight(kept)
        inside = _mean(error, hidden(mask))
        outside = _mean(error, 1 - hidden(mask))
        place.backward(fit.inside_share * inside + (1 - fit.inside_share) * outside)
        place.accelerator.clip_grad_norm_(self._model.parameters(), _CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        model = place.bare(self._model)
        follow(self._averaged.parameters(), model.parameters(), number, fit.ema)
        return {"inside": inside.detach(), "outside": outside.detach()}

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, averaged weights and the optimiser's state."""
        return state_of(
            {"model": self._place.bare(self._model), "averaged": self._averaged}, {"optimizer": self._optimizer}
        )

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        modules = {"model": self._place.bare(self._model), "averaged": self._averaged}
        restore(state, modules, {"optimizer": self._optimizer})

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """Defects painted from nothing on good ground, under masks of the class."""
        found: list[Drawn] = []
        sampler, p = self._sampler(), self._parameters
        for label, name in enumerate(self._lesson.classes):
            ground = self._lesson.draw(rng, count, 0.0, only=label)
            made = sampler.sample(
                ground.images,
                ground.images,
                ground.masks,
                [label] * count,
                rng,
                steps=p.sample_steps,
                guidance=p.guidance,
                solver=p.sampler,
            )
            images = np.rint(made).astype(np.uint8)
            found += [Drawn(name, image, mask) for image, mask in zip(images, ground.masks, strict=True)]
        return found

    def save(self, folder: Path) -> None:
        """Write the averaged network."""
        self._sampler().save(folder)

    def _sampler(self) -> Sampler:
        lesson = self._lesson
        return Sampler(
            self._averaged,
            self._schedule,
            lesson.classes,
            lesson.crop_px,
            lesson.context,
            self._scale,
            self._place.device,
        )


def _mean(error: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Mean over the pixels of each crop, then over the crops: a scratch teaches as much as a stain."""
    counts = where.sum(dim=(1, 2, 3)) * error.shape[1]
    each = (error * where).sum(dim=(1, 2, 3)) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)

"""Training of ddpm-inpaint: clean background first, then defects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carpet_data.learned.crops import CropDataset, GeneratedCrop
from carpet_data.learned.ddpm_inpaint.denoiser import Denoiser, clean_of, masked_mean, schedule, weight
from carpet_data.learned.ddpm_inpaint.parameters import DdpmInpaintParameters
from carpet_data.learned.ddpm_inpaint.sampling import Sampler, hidden, seen
from carpet_data.learned.fit_runtime import EMAModel, Runtime, averaged, noise, rate, restore, state_of, tensors
from carpet_data.learned.scale import ColorScale
from carpet_data.networks import devices

__all__ = ["DdpmInpaintLearner"]

_MAX_WARM_UP = 200
_CLIP = 1.0
_WEIGHT_DECAY = 0.01
_SEED_KEY = 1


class DdpmInpaintLearner:
    """Trains a `Denoiser`; see `carpet_data.learned.fit_loop.Learner`."""

    def __init__(self, data: CropDataset, parameters: DdpmInpaintParameters, runtime: Runtime) -> None:
        self._data, self._parameters, self._runtime = data, parameters, runtime
        fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        with devices.seeded(runtime.seed, _SEED_KEY):
            model = Denoiser(7, 3, data.unknown + 1, fit.widths, fit.block_px, fit.layers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=fit.learning_rate, weight_decay=_WEIGHT_DECAY)
        self._model, self._optimizer = runtime.prepare(model.train(), optimizer)
        self._average = EMAModel(runtime.bare(self._model).parameters(), decay=fit.ema, foreach=True)
        self._scale = ColorScale.of(data.all_crops())
        self._schedule = schedule()
        self._kept = self._schedule.alphas_cumprod.to(runtime.device)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimization step on a new batch; its losses inside and outside the masks."""
        fit, runtime = self._parameters.fit, self._runtime
        rng = runtime.rng("step", number)
        defect_share = 0.0 if number < round(fit.pretrain_share * fit.steps) else fit.defect_share
        batch = self._data.draw(rng, fit.batch_size, defect_share)
        untold = rng.random(fit.batch_size) < fit.class_dropout
        labels = torch.from_numpy(np.where(untold, self._data.unknown, batch.labels)).to(runtime.device)
        times = torch.from_numpy(rng.integers(len(self._kept), size=fit.batch_size)).to(runtime.device)
        clean = self._scale(tensors(batch.images, runtime.device))
        mask = torch.from_numpy(batch.masks).to(runtime.device)[:, None]
        grain = noise(rng, tuple(clean.shape), runtime.device)
        kept = self._kept[times][:, None, None, None]
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * grain
        for group in self._optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(number, fit.steps, max_warm_up=_MAX_WARM_UP)
        with runtime.autocast():
            found = self._model(seen(noisy, clean, mask), times, labels)
        error = (clean_of(found.float(), noisy, kept) - clean).square() * weight(kept)
        inside = masked_mean(error, hidden(mask))
        outside = masked_mean(error, 1 - hidden(mask))
        runtime.backward(fit.inside_share * inside + (1 - fit.inside_share) * outside)
        runtime.accelerator.clip_grad_norm_(self._model.parameters(), _CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.step(runtime.bare(self._model).parameters())
        return {"inside": inside.detach(), "outside": outside.detach()}

    def state(self) -> dict[str, torch.Tensor]:
        """See `Learner.state`."""
        return state_of(*self._parts())

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Learner.restore`."""
        restore(state, *self._parts())

    def _parts(self) -> tuple[Any, ...]:
        bare = self._runtime.bare(self._model)
        return {"model": bare}, {"optimizer": self._optimizer}, {"average": self._average}

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """Defects painted from noise on clean background, under masks of their class; see `Learner.samples`."""
        found: list[GeneratedCrop] = []
        p = self._parameters
        with averaged(self._runtime.bare(self._model), self._average):
            for label, name in enumerate(self._data.classes):
                clean = self._data.draw(rng, count, 0.0, only=label)
                made = self._sampler().sample(
                    clean.images,
                    clean.images,
                    clean.masks,
                    [label] * count,
                    rng,
                    steps=p.sample_steps,
                    guidance=p.guidance,
                    solver=p.sampler,
                )
                images = np.rint(made).astype(np.uint8)
                found += [GeneratedCrop(name, image, mask) for image, mask in zip(images, clean.masks, strict=True)]
        return found

    def save(self, folder: Path) -> None:
        """Write the averaged network."""
        with averaged(self._runtime.bare(self._model), self._average):
            self._sampler().save(folder)

    def _sampler(self) -> Sampler:
        data, model = self._data, self._runtime.bare(self._model)
        return Sampler(
            model, self._schedule, data.classes, data.crop_px, data.context, self._scale, self._runtime.device
        )

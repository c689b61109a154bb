"""Training of joint-ddpm: two networks side by side, each on its part of the noise schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carpet_data.learned.crops import Batch, Lesson
from carpet_data.learned.denoiser import Denoiser, clean_of, schedule, weight
from carpet_data.learned.fit_runtime import Place, noise, restore, state_of, tensors
from carpet_data.learned.joint_ddpm.method import BLOCK_PX, JointDdpmParameters
from carpet_data.learned.joint_ddpm.networks import PatchDenoiser
from carpet_data.learned.joint_ddpm.sampling import CHANNELS, Sampler, coverage_of
from carpet_data.learned.learning import Drawn
from carpet_data.learned.lr_schedule import follow, rate
from carpet_data.learned.scale import Scale
from carpet_data.networks import devices

__all__ = ["JointLearner"]

_COARSE_SHARE = 0.625
"""Of a batch: the layout is harder to learn than patches, of which each crop holds hundreds."""
_MOST_WARM = 50
_WEIGHT_DECAY = 0.01
_LONGEST_GRADIENT = 1.0


class JointLearner:
    """Trains the networks of joint-ddpm; see `carpet_data.learned.learning.Learner`."""

    def __init__(self, lesson: Lesson, parameters: JointDdpmParameters, place: Place) -> None:
        self._lesson, self._parameters, self._place = lesson, parameters, place
        fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        labels = lesson.unknown + 1
        first = int(place.rng("weights").integers(2**31))
        with devices.seeded(first):
            coarse = Denoiser(CHANNELS, CHANNELS, labels, fit.widths, BLOCK_PX)
            patch = PatchDenoiser(CHANNELS, labels, fit.patch_width, fit.patch_blocks, BLOCK_PX)
        self._averaged = {"coarse": deepcopy(coarse), "patch": deepcopy(patch)}
        for model in self._averaged.values():
            model.to(place.device).eval().requires_grad_(False)
        optimizer = torch.optim.AdamW(
            [*coarse.parameters(), *patch.parameters()], lr=fit.learning_rate, weight_decay=_WEIGHT_DECAY
        )
        self._coarse, self._patch, self._optimizer = place.prepare(coarse, patch, optimizer)
        self._scale = Scale.of(lesson.crops())
        self._schedule = schedule()
        total = int(self._schedule.config.num_train_timesteps)
        self._switch, self._total = round(fit.switch_frac * total), total

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One step of both networks."""
        fit, rng = self._parameters.fit, self._place.rng("step", number)
        for group in self._optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(number, fit.steps, most_warm=_MOST_WARM)
        is_pretraining = number < fit.pretrain_share * fit.steps
        batch = self._lesson.draw(rng, fit.batch_size, 0.0 if is_pretraining else fit.defect_share)
        clean, labels = self._joint(batch), torch.from_numpy(batch.labels).to(self._place.device)
        labels = self._with_dropout(labels, rng)
        cut = min(max(1, round(_COARSE_SHARE * len(labels))), max(1, len(labels) - 1))
        parts = {
            "coarse": (self._coarse, slice(None, cut), (self._switch, self._total)),
            "patch": (self._patch, slice(cut, None) if len(labels) > 1 else slice(None), (0, self._switch)),
        }
        losses: dict[str, torch.Tensor] = {}
        for name, (network, rows, span) in parts.items():
            loss, mask_loss = self._loss(network, clean[rows], labels[rows], span, rng)
            self._place.backward(loss)
            losses |= {name: loss.detach(), f"{name}_mask": mask_loss.detach()}
        for network in (self._coarse, self._patch):
            self._place.accelerator.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad()
        for name, network in (("coarse", self._coarse), ("patch", self._patch)):
            follow(self._averaged[name].parameters(), self._place.bare(network).parameters(), number, fit.ema)
        return losses

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, averaged weights, optimiser."""
        return state_of(self._modules(), {"optimizer": self._optimizer})

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        restore(state, self._modules(), {"optimizer": self._optimizer})

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """So many samples of each class, from the averaged weights, on no host."""
        names = [name for name in self._lesson.classes for _ in range(count)]
        labels = torch.tensor([self._lesson.classes.index(name) for name in names], device=self._place.device)
        sampler = self._sampler()
        made = sampler.sample(labels, self._lesson.crop_px, self._parameters, rng)
        images = np.rint(sampler.pictures(made)).astype(np.uint8)
        masks = coverage_of(made)[:, 0].cpu().numpy()
        return [Drawn(*one) for one in zip(names, images, masks, strict=True)]

    def save(self, folder: Path) -> None:
        """Write the averaged networks."""
        self._sampler().save(folder)

    def _sampler(self) -> Sampler:
        averaged = self._averaged
        lesson, switch_frac = self._lesson, self._parameters.fit.switch_frac
        shown = {name: [e for e in lesson.examples if e.class_name == name] for name in lesson.classes}
        shares = {name: float(np.mean([lesson.crop(e)[1].mean() for e in of])) for name, of in shown.items()}
        return Sampler(averaged["coarse"], averaged["patch"], lesson.classes, switch_frac, shares, self._scale)

    def _modules(self) -> dict[str, torch.nn.Module]:
        bare = {"coarse": self._place.bare(self._coarse), "patch": self._place.bare(self._patch)}
        return bare | {f"averaged_{name}": model for name, model in self._averaged.items()}

    def _joint(self, batch: Batch) -> torch.Tensor:
        """Image and mask as channels; good crops have no mask."""
        device = self._place.device
        masks = torch.from_numpy(batch.masks * (batch.labels != self._lesson.good)[:, None, None])
        return torch.cat([self._scale(tensors(batch.images, device)), masks.to(device)[:, None] * 2 - 1], dim=1)

    def _with_dropout(self, labels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        dropped = torch.from_numpy(rng.random(len(labels)) < self._parameters.fit.class_dropout)
        return torch.where(dropped.to(labels.device), self._lesson.unknown, labels)

    def _loss(
        self,
        network: Any,
        clean: torch.Tensor,
        labels: torch.Tensor,
        span: tuple[int, int],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared error of the clean crop, defect pixels counted more; and that of the mask's channel alone."""
        count, device = len(clean), clean.device
        # One time from each of as many equal parts of the span: less noise in the gradient than free draws.
        shares = (np.arange(count) + rng.random(count)) / count
        times = torch.from_numpy((span[0] + shares * (span[1] - span[0])).astype(np.int64)).to(device)
        noisy = self._schedule.add_noise(clean, noise(rng, tuple(clean.shape), device), times)
        with self._place.autocast():
            found = network(noisy, times, labels)
        kept = self._schedule.alphas_cumprod.to(device)[times][:, None, None, None]
        errors = (clean_of(found.float(), noisy, kept) - clean).square() * weight(kept)
        weights = 1 + self._parameters.fit.inside_weight * (clean[:, 3:] + 1) / 2
        image, mask = (errors[:, :3] * weights).sum() / (3 * weights.sum()), errors[:, 3].mean()
        return 0.75 * image + 0.25 * mask, mask

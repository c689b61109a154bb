"""Training of the gan recipe: first clean background, then, with that generator frozen, defects on background.

Both stages use the hinge loss against one discriminator (Lim and Ye 2017), with differentiable augmentation. Four terms
keep the training stable on a handful of crops: the discriminator reconstructs what it sees (FastGAN), the mean features
of a generated batch follow those of a real one of the same classes (feature matching, Salimans et al. 2016), the masks
of a class are on average as large as real ones, and two latents on the same background must differ (mode seeking, Mao
et al. 2019).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from carpet_data.learned.crops import CropDataset, GeneratedCrop
from carpet_data.learned.fit_runtime import (
    EMAModel,
    Runtime,
    averaged,
    levels,
    noise,
    restore,
    state_of,
    tensors,
)
from carpet_data.learned.gan.losses import area_gap, augmented, defect_only, diversity, mode_seeking
from carpet_data.learned.gan.networks import BackgroundGenerator, DefectBranch, Discriminator, grains_of
from carpet_data.learned.gan.parameters import BACKGROUND, BRANCH, CLASSES, GanParameters
from carpet_data.learned.scale import ColorScale
from carpet_data.networks import devices

__all__ = ["GanLearner"]

_BETAS = (0.0, 0.99)
_WARM = 0.02
_LAST_RATE = 0.1


class GanLearner:
    """Trains the networks of `gan`; see `carpet_data.learned.fit_loop.Learner`."""

    def __init__(self, data: CropDataset, parameters: GanParameters, runtime: Runtime) -> None:
        self._data, self._runtime, self._parameters = data, runtime, parameters
        self._fit = fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        # A fit of one step still has a second stage: without it there is no defect.
        self.background_steps = min(round(fit.ground_share * fit.steps), fit.steps - 1)
        count = len(data.classes)

        colors = ColorScale.of(data.all_crops())
        with devices.seeded(runtime.seed):
            background = BackgroundGenerator(fit.crop_px, fit.latent, fit.width, mean=colors.mean, axes=colors.axes)
            branch = DefectBranch(count, fit.crop_px, fit.latent, fit.width // 2, axes=colors.axes)
            judge = Discriminator(data.good + 1, fit.crop_px, fit.width)
        self._background, self._branch = background.to(runtime.device), branch.to(runtime.device)
        self._judge = judge.to(runtime.device)
        self._modules: dict[str, nn.Module] = {
            "background": self._background,
            "branch": self._branch,
            "judge": self._judge,
        }
        self._optimizers = {
            f"{name}_optimizer": torch.optim.Adam(model.parameters(), lr=fit.learning_rate, betas=_BETAS)
            for name, model in self._modules.items()
        }
        self._averages = {
            f"{name}_average": EMAModel(self._modules[name].parameters(), decay=fit.ema, foreach=True)
            for name in ("background", "branch")
        }

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One step of whichever stage it is; see `Learner.step`."""
        rng = self._runtime.rng("step", number)
        self._set_rate(number)
        if number < self.background_steps:
            losses = self._background_step(rng)
            self._averages["background_average"].step(self._background.parameters())
            return losses
        if number == self.background_steps:  # from here on the generator is frozen, at its averaged weights
            self._averages["background_average"].copy_to(self._background.parameters())
        losses = self._defect_step(rng)
        self._averages["branch_average"].step(self._branch.parameters())
        return losses

    def _set_rate(self, number: int) -> None:
        """A short linear rise at the start of each stage, then a linear decay to a tenth."""
        middle = self.background_steps
        first, end = (0, middle) if number < middle else (middle, self.steps)
        done = (number + 1 - first) / (end - first)
        factor = min(1.0, done / _WARM) * (1 - (1 - _LAST_RATE) * max(0.0, done - _WARM))
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self._fit.learning_rate * factor

    def _background_step(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        batch = self._data.draw(rng, self.batch_size, 0.0)
        images = tensors(batch.images, self._runtime.device)
        labels = torch.from_numpy(batch.labels).to(self._runtime.device)
        with self._runtime.autocast():
            made = self._background(*self._latents(rng, self.batch_size, self._fit.latent))
        real, fake = _with_mask(images, None), _with_mask(made.float(), None)
        losses = self._discriminate(real, fake.detach(), labels, rng)
        score, matching = self._judged(real, fake, labels, rng)
        self._update("background", score + self._fit.matching * matching)
        return {
            **losses,
            "generator": score.detach(),
            "matching": matching.detach(),
            "mode_seeking": torch.zeros_like(score.detach()),
            "area": torch.zeros_like(score.detach()),
            "diversity": diversity(fake, real, labels),
        }

    def _defect_step(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        count, device = self.batch_size, self._runtime.device
        batch = self._data.draw(rng, count, 1.0)
        labels = torch.from_numpy(batch.labels).to(device)
        masks = torch.from_numpy(batch.masks).to(device)[:, None]
        real = _with_mask(tensors(batch.images, device), masks)
        background = self._some_background(rng)
        first = self._latents(rng, count, self._fit.latent)
        # A second latent for half of the batch: pairs on one background, of one class.
        pairs = max(1, count // 2)
        second = self._latents(rng, pairs, self._fit.latent)
        with self._runtime.autocast():
            made, shape = self._branch(background, first[0], labels, first[1])
            _, other_shape = self._branch(background[:pairs], second[0], labels[:pairs], second[1])
        fake = _with_mask(made, shape)
        losses = self._discriminate(real, fake.detach(), labels, rng)
        score, matching = self._judged(real, fake, labels, rng)
        # On the masks alone, as in DFMGAN: on the colors it would be satisfied by color casts.
        seeking = mode_seeking(shape[:pairs], other_shape, first[0][:pairs], second[0])
        area = area_gap(shape, masks, labels, self._data.good)
        anchor = self._fit.matching * matching + self._fit.area * area
        self._update("branch", score + anchor + self._fit.mode_seeking * seeking)
        return {
            **losses,
            "generator": score.detach(),
            "matching": matching.detach(),
            "mode_seeking": seeking.detach(),
            "area": area.detach(),
            "diversity": diversity(defect_only(fake), defect_only(real), labels),
        }

    def _some_background(self, rng: np.random.Generator) -> torch.Tensor:
        """Background for the branch, n x3 x c x c: some from the frozen generator, the rest real."""
        real = tensors(self._data.draw(rng, self.batch_size, 0.0).images, self._runtime.device)
        made = round(self._fit.generated_ground * self.batch_size)
        if not made or not self.background_steps:
            return real
        with torch.no_grad(), self._runtime.autocast():
            generated = self._background(*self._latents(rng, made, self._fit.latent))
        return torch.cat([generated.float(), real[made:]])

    def _latents(self, rng: np.random.Generator, count: int, length: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        device = self._runtime.device
        return noise(rng, (count, length), device), grains_of(rng, count, self._fit.crop_px, device)

    def _discriminate(
        self, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        self._judge.requires_grad_(True)
        shown = augmented(real, rng)
        with self._runtime.autocast():
            good, _, redrawn = self._judge(shown, labels)
            bad, _, _ = self._judge(augmented(fake, rng), labels)
        hinge = _mean_of(functional.relu(1 - good.float())) + _mean_of(functional.relu(1 + bad.float()))
        redraw = (redrawn.float() - functional.adaptive_avg_pool2d(shown, redrawn.shape[-1])).abs().mean()
        self._update("judge", hinge + redraw)
        self._judge.requires_grad_(False)
        return {"discriminator": hinge.detach(), "redraw": redraw.detach()}

    def _judged(
        self, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The score of the fakes, and the distance of their mean features from those of the real ones."""
        with self._runtime.autocast():
            with torch.no_grad():
                _, wanted, _ = self._judge(augmented(real, rng), labels)
            scores, features, _ = self._judge(augmented(fake, rng), labels)
        matching = (features.float().mean(dim=0) - wanted.float().mean(dim=0)).abs().mean()
        return -_mean_of(scores.float()), matching

    def _update(self, name: str, loss: torch.Tensor) -> None:
        optimizer = self._optimizers[f"{name}_optimizer"]
        optimizer.zero_grad(set_to_none=True)
        self._runtime.backward(loss)
        # Shared here and not by wrapped models: a step runs the discriminator several times, partly frozen.
        if self._runtime.accelerator.num_processes > 1:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad = self._runtime.accelerator.reduce(parameter.grad, "mean")
        optimizer.step()

    def state(self) -> dict[str, torch.Tensor]:
        """See `Learner.state`."""
        return state_of(self._modules, self._optimizers, self._averages)

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Learner.restore`."""
        restore(state, self._modules, self._optimizers, self._averages)

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """Samples of each class on real background, with the latents of rendering; see `Learner.samples`."""
        found: list[GeneratedCrop] = []
        fit, device, strength = self._fit, self._runtime.device, self._parameters.truncation
        with averaged(self._branch, self._averages["branch_average"]), torch.no_grad():
            for label, name in enumerate(self._data.classes):
                labels = torch.full((count,), label, device=device)
                background = tensors(self._data.draw(rng, count, 0.0).images, device)
                latents = strength * noise(rng, (count, fit.latent), device)
                grain = grains_of(rng, count, fit.crop_px, device, strength)
                made, masks = self._branch(background, latents, labels, grain)
                images = np.rint(levels(made)).astype(np.uint8)
                shapes = masks[:, 0].cpu().numpy().astype(np.float32)
                found += [GeneratedCrop(name, image, mask) for image, mask in zip(images, shapes, strict=True)]
        return found

    def save(self, folder: Path) -> None:
        """Write both averaged networks and the names of the labels."""
        self._background.save_pretrained(folder / BACKGROUND)
        with averaged(self._branch, self._averages["branch_average"]):
            self._branch.save_pretrained(folder / BRANCH)
        text = json.dumps(list(self._data.classes), ensure_ascii=False)
        (folder / CLASSES).write_text(text + "\n", encoding="utf-8")


def _with_mask(images: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    """What the discriminator sees: n x4 x c x c, -1..1; clean background has an empty mask."""
    if masks is None:
        masks = torch.zeros_like(images[:, :1])
    return torch.cat([images, 2 * masks - 1], dim=1)


def _mean_of(scores: torch.Tensor) -> torch.Tensor:
    """The score of the whole crop and the mean score of its parts count equally."""
    return scores[:, 0].mean() + scores[:, 1:].mean()

"""How the gan recipe learns: first good ground, then, with that generator frozen, defects on ground.

Both stages play the hinge game against one discriminator (Lim and Ye 2017), with differentiable augmentation. Four
terms keep a game over a handful of crops from going astray: the discriminator redraws what it sees (FastGAN), the mean
features of a generated batch follow those of a real one of the same classes (feature matching, Salimans et al. 2016),
the masks of a class are on average as large as real ones, and two latents on the same ground must differ (mode seeking,
Mao et al. 2019).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from carpet_data.learned.crops import Lesson
from carpet_data.learned.fit_runtime import Place, levels, noise, restore, state_of, tensors
from carpet_data.learned.gan.diff_augment import augmented
from carpet_data.learned.gan.method import BRANCH, CLASSES, GROUND, GanParameters
from carpet_data.learned.gan.networks import DefectBranch, Discriminator, GroundGenerator, grains_of
from carpet_data.learned.learning import Drawn
from carpet_data.learned.lr_schedule import follow
from carpet_data.learned.scale import Scale
from carpet_data.networks import devices

__all__ = ["GanLearner"]

_BETAS = (0.0, 0.99)
_WARM = 0.02
_LAST_RATE = 0.1
_SLACK = 0.1
"""Keeps the mode-seeking term below 10 while samples are still all alike."""
_COMPARED_PX = 32
"""Crops are reduced to this before they are compared with each other."""


class GanLearner:
    """Trains the networks of `gan`; see `carpet_data.learned.learning.Learner`.

    Args:
        lesson: What it may look at.
        parameters: Of the recipe.
        place: Where.
    """

    def __init__(self, lesson: Lesson, parameters: GanParameters, place: Place) -> None:
        self._lesson, self._place, self._parameters = lesson, place, parameters
        self._fit = fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        # A fit of one step still has a second stage: without it there is no defect.
        self.ground_steps = min(round(fit.ground_share * fit.steps), fit.steps - 1)
        count = len(lesson.classes)

        colours = Scale.of(lesson.crops())
        with devices.seeded(place.seed):
            ground = GroundGenerator(fit.crop_px, fit.latent, fit.width, mean=colours.mean, axes=colours.axes)
            branch = DefectBranch(count, fit.crop_px, fit.latent, fit.width // 2, axes=colours.axes)
            self._ground, self._branch = ground.to(place.device), branch.to(place.device)
            self._judge = Discriminator(lesson.good + 1, fit.crop_px, fit.width).to(place.device)
        self._ground_mean, self._branch_mean = copy.deepcopy(self._ground), copy.deepcopy(self._branch)
        for mean in (self._ground_mean, self._branch_mean):
            mean.requires_grad_(False).eval()
        self._optimizers = {
            f"{name}_optimizer": torch.optim.Adam(model.parameters(), lr=fit.learning_rate, betas=_BETAS)
            for name, model in (("ground", self._ground), ("branch", self._branch), ("judge", self._judge))
        }

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {
            "ground": self._ground,
            "ground_mean": self._ground_mean,
            "branch": self._branch,
            "branch_mean": self._branch_mean,
            "judge": self._judge,
        }

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One step of whichever stage it is; see `Learner.step`."""
        rng = self._place.rng("step", number)
        self._set_rate(number)
        if number < self.ground_steps:
            losses = self._ground_step(rng)
            follow(self._ground_mean.parameters(), self._ground.parameters(), number, self._fit.ema)
        else:
            losses = self._defect_step(rng)
            follow(self._branch_mean.parameters(), self._branch.parameters(), number - self.ground_steps, self._fit.ema)
        return losses

    def _set_rate(self, number: int) -> None:
        """Up from nothing at the beginning of each stage, down to a tenth at its end."""
        first, end = (0, self.ground_steps) if number < self.ground_steps else (self.ground_steps, self.steps)
        done = (number + 1 - first) / (end - first)
        factor = min(1.0, done / _WARM) * (1 - (1 - _LAST_RATE) * max(0.0, done - _WARM))
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self._fit.learning_rate * factor

    def _ground_step(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        batch = self._lesson.draw(rng, self.batch_size, 0.0)
        images = tensors(batch.images, self._place.device)
        labels = torch.from_numpy(batch.labels).to(self._place.device)
        with self._place.autocast():
            made = self._ground(*self._latents(rng, self.batch_size, self._fit.latent))
        real, fake = _with_mask(images, None), _with_mask(made.float(), None)
        losses = self._discriminate(real, fake.detach(), labels, rng)
        score, matching = self._judged(real, fake, labels, rng)
        self._update("ground", score + self._fit.matching * matching)
        return {
            **losses,
            "generator": score.detach(),
            "matching": matching.detach(),
            "mode_seeking": torch.zeros_like(score.detach()),
            "area": torch.zeros_like(score.detach()),
            "diversity": _diversity(fake, real, labels),
        }

    def _defect_step(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        count, device = self.batch_size, self._place.device
        batch = self._lesson.draw(rng, count, 1.0)
        labels = torch.from_numpy(batch.labels).to(device)
        masks = torch.from_numpy(batch.masks).to(device)[:, None]
        real = _with_mask(tensors(batch.images, device), masks)
        ground = self._some_ground(rng)
        first = self._latents(rng, count, self._fit.latent)
        # Others for half of the batch: pairs on one ground, of one class.
        pairs = max(1, count // 2)
        second = self._latents(rng, pairs, self._fit.latent)
        with self._place.autocast():
            made, shape = self._branch(ground, first[0], labels, first[1])
            _, other_shape = self._branch(ground[:pairs], second[0], labels[:pairs], second[1])
        fake = _with_mask(made, shape)
        losses = self._discriminate(real, fake.detach(), labels, rng)
        score, matching = self._judged(real, fake, labels, rng)
        # Of the masks alone, as DFMGAN has it: of the colours it would be paid in colour casts.
        seeking = _alike(shape[:pairs], other_shape, first[0][:pairs], second[0])
        area = _area_gap(shape, masks, labels, self._lesson.good)
        anchor = self._fit.matching * matching + self._fit.area * area
        self._update("branch", score + anchor + self._fit.mode_seeking * seeking)
        return {
            **losses,
            "generator": score.detach(),
            "matching": matching.detach(),
            "mode_seeking": seeking.detach(),
            "area": area.detach(),
            "diversity": _diversity(_under(fake), _under(real), labels),
        }

    def _some_ground(self, rng: np.random.Generator) -> torch.Tensor:
        """Ground for the branch, n x3 x c x c: some of the frozen generator, the rest real."""
        real = tensors(self._lesson.draw(rng, self.batch_size, 0.0).images, self._place.device)
        made = round(self._fit.generated_ground * self.batch_size)
        if not made or not self.ground_steps:
            return real
        with torch.no_grad(), self._place.autocast():
            generated = self._ground_mean(*self._latents(rng, made, self._fit.latent))
        return torch.cat([generated.float(), real[made:]])

    def _latents(self, rng: np.random.Generator, count: int, length: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        device = self._place.device
        return noise(rng, (count, length), device), grains_of(rng, count, self._fit.crop_px, device)

    def _discriminate(
        self, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        self._judge.requires_grad_(True)
        shown = augmented(real, rng)
        with self._place.autocast():
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
        """How bad the fakes look, and how far their mean features are from those of the real ones."""
        with self._place.autocast():
            with torch.no_grad():
                _, wanted, _ = self._judge(augmented(real, rng), labels)
            scores, features, _ = self._judge(augmented(fake, rng), labels)
        matching = (features.float().mean(dim=0) - wanted.float().mean(dim=0)).abs().mean()
        return -_mean_of(scores.float()), matching

    def _update(self, name: str, loss: torch.Tensor) -> None:
        optimizer = self._optimizers[f"{name}_optimizer"]
        optimizer.zero_grad(set_to_none=True)
        self._place.backward(loss)
        # Shared here and not by wrapped models: a step runs the discriminator several times, partly frozen.
        if self._place.accelerator.num_processes > 1:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad = self._place.accelerator.reduce(parameter.grad, "mean")
        optimizer.step()

    def state(self) -> dict[str, torch.Tensor]:
        """All that `step` changes; see `Learner.state`."""
        return state_of(self._modules, self._optimizers)

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        restore(state, self._modules, self._optimizers)

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """Samples of each class on real ground, their latents as short as when rendering; see `Learner.samples`."""
        drawn: list[Drawn] = []
        fit, device, strength = self._fit, self._place.device, self._parameters.truncation
        for label, name in enumerate(self._lesson.classes):
            labels = torch.full((count,), label, device=device)
            ground = tensors(self._lesson.draw(rng, count, 0.0).images, device)
            latents = strength * noise(rng, (count, fit.latent), device)
            with torch.no_grad():
                grain = grains_of(rng, count, fit.crop_px, device, strength)
                made, masks = self._branch_mean(ground, latents, labels, grain)
            images = np.rint(levels(made)).astype(np.uint8)
            shapes = masks[:, 0].cpu().numpy().astype(np.float32)
            drawn += [Drawn(name, image, mask) for image, mask in zip(images, shapes, strict=True)]
        return drawn

    def save(self, folder: Path) -> None:
        """Write both averaged networks and the names of the labels."""
        self._ground_mean.save_pretrained(folder / GROUND)
        self._branch_mean.save_pretrained(folder / BRANCH)
        text = json.dumps(list(self._lesson.classes), ensure_ascii=False)
        (folder / CLASSES).write_text(text + "\n", encoding="utf-8")


def _with_mask(images: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    """What the discriminator sees: n x4 x c x c, -1..1; good ground has an empty mask."""
    if masks is None:
        masks = torch.zeros_like(images[:, :1])
    return torch.cat([images, 2 * masks - 1], dim=1)


def _mean_of(scores: torch.Tensor) -> torch.Tensor:
    """The score of the whole and the mean score of the parts count alike."""
    return scores[:, 0].mean() + scores[:, 1:].mean()


def _area_gap(made: torch.Tensor, real: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """How far the mean mask area of each class is from that of real crops, as a share of it, mean over the classes."""
    chosen = functional.one_hot(labels, classes).float()
    found, wanted = (chosen.T @ masks.float().mean(dim=(1, 2, 3)) for masks in (made, real))
    return ((found - wanted).abs() / wanted.clamp_min(1e-3)).mean()


def _alike(one: torch.Tensor, other: torch.Tensor, latent: torch.Tensor, other_latent: torch.Tensor) -> torch.Tensor:
    """How little the masks of two samples differ for how much their latents do, 0..10."""
    apart = (one - other).abs().mean(dim=(1, 2, 3)) / (latent - other_latent).abs().mean(dim=1)
    return (1 / (apart + _SLACK)).mean()


def _under(values: torch.Tensor) -> torch.Tensor:
    """What a crop with its mask shows of the defect alone: colours under the mask, and the mask."""
    mask = (values[:, 3:] + 1) / 2
    return torch.cat([values[:, :3] * mask, mask], dim=1)


def _diversity(fake: torch.Tensor, real: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How much crops of one class differ within a batch, as a share of how much real ones do: near 0 it has collapsed.

    Args:
        fake: n x k x c x c.
        real: The same shape.
        labels: int64 n, of both; where no two are alike the result is 1.
    """
    alike = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)

    def apart(batch: torch.Tensor) -> torch.Tensor:
        flat = functional.adaptive_avg_pool2d(batch.detach().float(), _COMPARED_PX).flatten(1)
        return (torch.cdist(flat, flat, p=1.0) * alike).sum() + 1e-6

    return apart(fake) / apart(real)

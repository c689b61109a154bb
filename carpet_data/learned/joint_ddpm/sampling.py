"""Sampling of joint-ddpm: noise becomes a crop and its mask, on a host or on nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from numpy.typing import NDArray
from torch.nn import functional

from carpet_data.learned.denoiser import Denoiser, clean_of, guided, schedule
from carpet_data.learned.fit_runtime import levels, noise, tensors
from carpet_data.learned.joint_ddpm.method import JointDdpmParameters
from carpet_data.learned.joint_ddpm.networks import PatchDenoiser
from carpet_data.learned.load_fitted import label_of, reading
from carpet_data.learned.scale import Scale
from carpet_data.networks import devices
from carpet_data.store.files import write_bytes

__all__ = ["CHANNELS", "Sampler", "coverage_of"]

F32 = NDArray[np.float32]

CHANNELS = 4
"""Red, green, blue, and how much of the pixel is defect: -1 none, 1 all."""
_FACTS = "joint_ddpm.json"
_COARSE, _PATCH = "coarse", "patch"
_RELATIVE = 0.3
"""Where the mask is surer than this share of its peak, a defect may be."""
_SMALLEST_PEAK = 0.1


@dataclass(frozen=True, eq=False)
class Sampler:
    """The two networks, in evaluation mode.

    Attributes:
        coarse: Denoises while there is much noise.
        patch: Denoises the rest.
        classes: A label is the index of one; after them come the labels of good ground and of no class said.
        switch_frac: Share of the schedule below which `patch` is asked.
        shares: Class -> which share of its crops was defect, on average.
        scale: Of the colours of crops.
    """

    coarse: Any
    patch: Any
    classes: tuple[str, ...]
    switch_frac: float
    shares: Mapping[str, float]
    scale: Scale

    @classmethod
    def open(cls, folder: Path, device: str) -> Sampler:
        """The networks that `save` wrote.

        Raises:
            DataError: They are not there, or not whole.
            UsageError: There is no such device.
        """
        found = devices.resolve(device)
        with reading(folder):
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            classes, switch_frac = tuple(facts["classes"]), float(facts["switch_frac"])
            shares = {name: float(facts["shares"][name]) for name in classes}
            scale = Scale.from_json(facts["scale"])
            coarse = Denoiser.from_pretrained(folder / _COARSE, local_files_only=True)
            patch = PatchDenoiser.from_pretrained(folder / _PATCH, local_files_only=True)
        return cls(coarse.to(found).eval(), patch.to(found).eval(), classes, switch_frac, shares, scale)

    def save(self, folder: Path) -> None:
        """Write what `open` reads into a folder that is there."""
        self.coarse.save_pretrained(folder / _COARSE)
        self.patch.save_pretrained(folder / _PATCH)
        facts = {
            "classes": list(self.classes),
            "switch_frac": self.switch_frac,
            "shares": dict(self.shares),
            "scale": self.scale.to_json(),
        }
        write_bytes(folder / _FACTS, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())

    def share(self, class_name: str) -> float:
        """Which share of a crop of a class was defect, on average.

        Raises:
            DataError: The model was fitted without the class.
        """
        return self.shares[self.classes[label_of(class_name, self.classes)]]

    def on_host(
        self, seen: NDArray[np.uint8], class_name: str, parameters: JointDdpmParameters, rng: np.random.Generator
    ) -> tuple[F32, F32]:
        """A defect on a crop of a host.

        Args:
            seen: uint8 c x c x3: the host where the defect is to be.
            class_name: Of the defect.
            parameters: Of sampling.
            rng: All chance.

        Returns:
            The crop, float32 c x c x3 in levels 0..255, and the share of each pixel that is defect, float32 c x c.

        Raises:
            DataError: The model was fitted without the class.
        """
        device = next(self.coarse.parameters()).device
        label = torch.tensor([label_of(class_name, self.classes)], device=device)
        with devices.one_thread(device):
            host = self.scale(tensors(seen[None], device))
            made = self.sample(label, seen.shape[0], parameters, rng, host=host)
        return self.pictures(made)[0], coverage_of(made)[0, 0].cpu().numpy()

    def pictures(self, made: torch.Tensor) -> F32:
        """The images of samples, n x4 x c x c, as float32 n x c x c x3 in levels 0..255."""
        return levels(self.scale.back(made[:, :3]))

    @torch.no_grad()
    def sample(
        self,
        labels: torch.Tensor,
        crop_px: int,
        parameters: JointDdpmParameters,
        rng: np.random.Generator,
        *,
        host: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Crops and masks from noise, by DDIM (Song et al. 2021) with classifier-free guidance (Ho and Salimans 2022).

        With a host, ground that the mask leaves is replaced by the host with as much noise as the step has, so that
        what is made goes on from it (Lugmayr et al., "RePaint", 2022).

        Args:
            labels: int64 n.
            crop_px: Pixels across and down.
            parameters: Of sampling.
            rng: All chance.
            host: float32 n x3 x c x c, scaled.

        Returns:
            float32 n x4 x c x c: scaled colours, and coverage -1..1.
        """
        shape = (len(labels), CHANNELS, crop_px, crop_px)
        reach = self.scale.reach
        scheduler = DDIMScheduler.from_config(schedule().config, timestep_spacing="trailing", clip_sample_range=reach)
        scheduler.set_timesteps(parameters.steps)
        total = int(scheduler.config.num_train_timesteps)
        start = noise(rng, shape, labels.device)
        values = start
        times = [int(time) for time in scheduler.timesteps]
        for time, after in zip(times, [*times[1:], -1], strict=True):
            network = self.coarse if time >= self.switch_frac * total else self.patch
            unknown = len(self.classes) + 1
            found = guided(network, values, time, labels, unknown=unknown, guidance=parameters.guidance)
            found = clean_of(found, values, scheduler.alphas_cumprod[time])
            values, clean = scheduler.step(found, time, values, eta=0.0, return_dict=False)
            if host is None or time > parameters.host_from * total:
                continue
            free = _free(clean, max(1, round(parameters.host_margin * crop_px)))
            ground = host
            if after >= 0:
                ground = scheduler.add_noise(host, start[:, :3], torch.tensor([after], device=labels.device))
            values[:, :3] = ground + free * (values[:, :3] - ground)
        return values


def coverage_of(values: torch.Tensor) -> torch.Tensor:
    """The share of each pixel that is defect, n x1 x h x w, 0..1; of n x4 x h x w, -1..1."""
    return ((values[:, 3:].float() + 1) / 2).clamp(0, 1)


def _free(clean: torch.Tensor, margin: int) -> torch.Tensor:
    """Where the network may change the ground, n x1 x h x w, 0..1: on the mask as it is guessed now, and near it."""
    coverage = coverage_of(clean)
    peak = coverage.amax(dim=(2, 3), keepdim=True).clamp(min=_SMALLEST_PEAK)
    likely = (coverage > _RELATIVE * peak).float()
    near = functional.max_pool2d(likely, 2 * margin + 1, 1, margin)
    return functional.avg_pool2d(near, 3, 1, 1, count_include_pad=False)

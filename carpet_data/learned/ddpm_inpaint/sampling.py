"""Sampling with the network of ddpm-inpaint, from noise or from an image.

The background outside the mask is restored in every step, as in RePaint (Lugmayr et al. 2022).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from numpy.typing import NDArray

from carpet_data.learned.ddpm_inpaint.denoiser import Denoiser, clean_of, guided
from carpet_data.learned.fit_runtime import levels, noise, tensors
from carpet_data.learned.load_fitted import label_of, reading
from carpet_data.learned.scale import ColorScale
from carpet_data.networks import devices

__all__ = ["Sampler", "hidden", "seen"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_FACTS = "crops.json"
_LEAST_STRENGTH = 0.02


def hidden(masks: torch.Tensor) -> torch.Tensor:
    """The pixels that the network paints, float32 n x1 x c x c: all that the mask touches."""
    return (masks > 0).float()


def seen(noisy: torch.Tensor, clean: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """What the network sees, n x7 x c x c: the noisy crop, the mask, and the clean crop outside the mask."""
    return torch.cat([noisy, masks, clean * (1 - hidden(masks))], dim=1)


@dataclass(frozen=True, eq=False)
class Sampler:
    """A trained network in eval mode, ready to sample crops of `crop_px` pixels.

    Attributes:
        classes: The label of a class is its index; the next one is clean background, and the last one no class.
        context: How much wider than the defect its windows are.
    """

    model: Denoiser
    schedule: DDPMScheduler
    classes: tuple[str, ...]
    crop_px: int
    context: float
    scale: ColorScale
    device: torch.device

    def save(self, folder: Path) -> None:
        """Write the network, its schedule and what cutting crops for it needs."""
        self.model.save_pretrained(folder / "denoiser")
        self.schedule.save_pretrained(folder / "schedule")
        facts = {
            "classes": list(self.classes),
            "crop_px": self.crop_px,
            "context": self.context,
            "scale": self.scale.to_json(),
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, folder: Path, device: str) -> Sampler:
        """Load what `save` wrote.

        Raises:
            DataError: A file is missing or damaged.
            UsageError: The device is unknown or not available.
        """
        where = devices.resolve(device)
        with reading(folder):
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            classes = tuple(str(name) for name in facts["classes"])
            crop_px, context = int(facts["crop_px"]), float(facts["context"])
            scale = ColorScale.from_json(facts["scale"])
            # Offline: a missing folder must not be looked up on the hub by name.
            model = Denoiser.from_pretrained(folder / "denoiser", local_files_only=True, low_cpu_mem_usage=False)
            schedule = DDPMScheduler.from_pretrained(folder / "schedule", local_files_only=True)
        return cls(model.to(where).eval(), schedule, classes, crop_px, context, scale, where)

    def label(self, class_name: str) -> int:
        """The label of a class.

        Raises:
            DataError: The network was not trained on it.
        """
        return label_of(class_name, self.classes)

    def sample(
        self,
        hosts: U8,
        shown: U8,
        masks: F32,
        labels: Sequence[int] | NDArray[np.int64],
        rng: np.random.Generator,
        *,
        strength: float = 1.0,
        steps: int = 12,
        guidance: float = 1.5,
        solver: str = "dpm-solver",
    ) -> F32:
        """Repaint crops within their masks; float32 n x c x c x3, levels 0..255.

        Args:
            hosts: uint8 n x c x c x3: the background; outside the masks it stays unchanged.
            shown: uint8 n x c x c x3: what to start from, for a strength below 1.
            masks: float32 n x c x c, 0..1.
            labels: n labels.
            rng: Draws the noise.
            strength: Amount of noise on `shown`; 1 keeps nothing of it.
            steps: Denoising steps; fewer if the schedule has fewer times below the strength.
            guidance: Classifier-free guidance scale; 1 for none.
            solver: "ddim" or "dpm-solver".
        """
        host, first = (self.scale(tensors(images, self.device)) for images in (hosts, shown))
        mask = torch.from_numpy(np.ascontiguousarray(masks, np.float32)).to(self.device)[:, None]
        inside = hidden(mask)
        label = torch.as_tensor(np.asarray(labels, np.int64), device=self.device)
        scheduler = self._scheduler(solver)
        # As many steps in all that `steps` of them remain below the strength.
        strength = float(np.clip(strength, _LEAST_STRENGTH, 1.0))
        total = int(scheduler.config.num_train_timesteps)
        steps = min(steps, round(strength * total))
        scheduler.set_timesteps(max(steps, min(round(steps / strength), total)))
        times = scheduler.timesteps[-steps:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(scheduler.timesteps) - len(times))
        grain = noise(rng, tuple(host.shape), self.device)
        values = self._noised(torch.where(inside > 0, first, host), grain, int(times[0]))
        with devices.one_thread(self.device), torch.inference_mode():
            for number, time in enumerate(times):
                found = self._clean(values, host, mask, label, int(time), guidance)
                values = scheduler.step(found, time, values, return_dict=False)[0]
                later = int(times[number + 1]) if number + 1 < len(times) else -1
                values = torch.where(inside > 0, values, self._noised(host, grain, later))
        return levels(self.scale.back(values))

    def _scheduler(self, solver: str) -> Any:
        # A schedule that ends in pure noise must start at its very end (Lin et al. 2024).
        if solver == "ddim":
            reach = self.scale.reach
            return DDIMScheduler.from_config(self.schedule.config, timestep_spacing="trailing", clip_sample_range=reach)
        return DPMSolverMultistepScheduler.from_config(self.schedule.config, timestep_spacing="trailing")

    def _clean(
        self,
        values: torch.Tensor,
        host: torch.Tensor,
        mask: torch.Tensor,
        label: torch.Tensor,
        time: int,
        guidance: float,
    ) -> torch.Tensor:
        given, unknown = seen(values, host, mask), len(self.classes) + 1
        found = guided(self.model, given, time, label, unknown=unknown, guidance=guidance)
        return clean_of(found, values, self.schedule.alphas_cumprod[time])

    def _noised(self, clean: torch.Tensor, grain: torch.Tensor, time: int) -> torch.Tensor:
        """A crop with the noise of a time of the schedule; -1 for none."""
        if time < 0:
            return clean
        kept = float(self.schedule.alphas_cumprod[time])
        return clean * math.sqrt(kept) + grain * math.sqrt(1 - kept)

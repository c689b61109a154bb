"""LoRA on a pretrained inpainting pipeline: a few defect crops teach it what a class looks like.

After DefectFill (Song et al., CVPR 2025): a loss inside the defect's mask, where the network sees the ground around
and paints the defect; and a loss on the whole crop, where random boxes are painted, so that the defect joins its
ground. Its loss on attention maps and its LoRA of the text encoder are left out: pipelines differ too much in both.
LoRA is of Hu et al., 2021.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import cast_training_params
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from carpet_data.errors import DataError
from carpet_data.learned.crops import Lesson
from carpet_data.learned.fit_runtime import Place, noise
from carpet_data.learned.learning import Drawn
from carpet_data.learned.lr_schedule import follow, rate
from carpet_data.learned.pretrained_inpaint.origin import DESCRIPTION, Base
from carpet_data.learned.pretrained_inpaint.parameters import MemoryRules, PretrainedFit, PretrainedParameters
from carpet_data.learned.pretrained_inpaint.pipeline import LORA, Painter, dtype_of
from carpet_data.learned.pretrained_inpaint.prompts import prompt_of
from carpet_data.learned.pretrained_inpaint.views import Views, encoded
from carpet_data.networks import devices
from carpet_data.networks.checkpoints import optimizer_tensors, restore_optimizer
from carpet_data.store.files import write_bytes

__all__ = ["LoraLearner", "UntrainedLearner"]

_GRADIENT = 1.0
"""Largest norm of the gradient of a step."""


class UntrainedLearner:
    """The pipeline as it is: nothing is trained, but it was loaded, tried and written down."""

    steps = 0

    def __init__(self, lesson: Lesson, parameters: PretrainedParameters, base: Base, place: Place) -> None:
        self.batch_size = 1
        self._lesson, self._parameters, self._base, self._place = lesson, parameters, base, place
        half = place.precision == "bf16" and place.device.type == "cuda"
        dtype = torch.bfloat16 if half else torch.float32
        if not parameters.fit.lora_rank:
            dtype = dtype_of(parameters.dtype, place.device)
        # Offloading moves weights away between calls, so a LoRA is trained without it.
        memory = MemoryRules() if parameters.fit.lora_rank else parameters.memory
        self.painter = Painter.open(base, place.device, dtype, memory)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """Never called: there are no steps."""
        raise ValueError(f"there is no step {number}: nothing is trained")

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing changes, so nothing is kept."""
        return {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Nothing was kept."""
        if state:
            raise DataError(f"a fit without a LoRA keeps no weights, there are {len(state)}", hint="use --overwrite")

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """So many of each class, painted on good crops."""
        p = self._parameters
        found: list[Drawn] = []
        for label, name in enumerate(self._lesson.classes):
            batch = self._lesson.draw(rng, count, 0.0, only=label)
            for image, mask in zip(batch.images, batch.masks, strict=True):
                painted = self.painter.paint(
                    image,
                    mask > 0,
                    _prompt(name, p.fit),
                    rng,
                    negative=p.negative_prompt,
                    guidance=p.guidance,
                    steps=p.sample_steps,
                )
                # Outside its mask a crop stays, as in synthesis.
                mixed = np.where((mask > 0)[:, :, None], painted, image)
                found.append(Drawn(name, np.rint(mixed).astype(np.uint8), mask))
        return found

    def save(self, folder: Path) -> None:
        """Write which pipeline it is; its weights stay where they are."""
        base, fit = self._base, self._parameters.fit
        values = {
            "schema": 1,
            "pipeline": base.name,
            "folder": str(base.folder),
            "revision": base.revision,
            "variant": base.variant,
            "kind": base.kind,
            "sha256": base.sha256,
            "lora_rank": fit.lora_rank,
            "classes": list(self._lesson.classes),
            "prompts": {name: _prompt(name, fit) for name in self._lesson.classes},
            "crop_px": self._lesson.crop_px,
            "context": self._lesson.context,
        }
        write_bytes(folder / DESCRIPTION, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


class LoraLearner(UntrainedLearner):
    """Trains a LoRA of the UNet's attention on encoded crops.

    Raises:
        DataError: The pipeline has no UNet, no such layers, or no embeddings of prompts.
    """

    def __init__(self, lesson: Lesson, parameters: PretrainedParameters, base: Base, place: Place) -> None:
        super().__init__(lesson, parameters, base, place)
        fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        pipe = self.painter.pipe
        unet = pipe.components.get("unet")
        if unet is None:
            raise DataError(
                f"a LoRA can be trained for pipelines with a UNet, and this {base.kind} has none",
                where=base.folder,
                hint="write lora_rank: 0 in the recipe's fit to use the pipeline as it is",
            )
        self._schedule = DDPMScheduler.from_config(pipe.scheduler.config)
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False)
        self._add_lora(unet, fit)
        if fit.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        self._lora = {name: value for name, value in unet.named_parameters() if value.requires_grad}
        self._average = {name: value.detach().clone() for name, value in self._lora.items()}
        optimizer = torch.optim.AdamW(self._lora.values(), lr=fit.learning_rate)
        self._unet, self._optimizer = place.prepare(unet, optimizer)
        smaller = "write a smaller crop_px under fit in the recipe, and fit that"
        with devices.memory_guard(self.batch_size, place.device, hint=smaller):
            self._views = encoded(lesson, self.painter, fit.views, place.rng("views"))
            self._texts = self._embedded(lesson, fit)

    def _add_lora(self, unet: Any, fit: PretrainedFit) -> None:
        settings = LoraConfig(
            r=fit.lora_rank,
            lora_alpha=fit.lora_rank,
            init_lora_weights="gaussian",
            target_modules=list(fit.target_modules),
        )
        try:
            with devices.seeded(self._place.seed, device=self._place.device):
                unet.add_adapter(settings)
        except ValueError as error:
            raise DataError(
                f"the UNet has no layers called {', '.join(fit.target_modules)}",
                where=self._base.folder,
                hint="give target_modules in the recipe's fit as diffusers names them, such as to_q",
            ) from error
        cast_training_params(unet, dtype=torch.float32)

    def _embedded(self, lesson: Lesson, fit: PretrainedFit) -> dict[str, torch.Tensor]:
        """Embeddings of all prompts by label, and of no words as the last."""
        prompts = [*(_prompt(name, fit) for name in lesson.classes), ""]
        found = [self.painter.texts(prompt, guided=False) for prompt in prompts]
        if "prompt_embeds" not in found[0]:
            raise DataError(
                f"a LoRA is trained with embeddings of prompts, and this {self._base.kind} gives none",
                where=self._base.folder,
                hint="write lora_rank: 0 in the recipe's fit to use the pipeline as it is",
            )
        return {key: torch.cat([texts[key] for texts in found]).float() for key in found[0]}

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimisation step, see `Learner`."""
        fit, rng, device = self._parameters.fit, self._place.rng("step", number), self._place.device
        rows = torch.from_numpy(rng.integers(len(self._views.labels), size=fit.batch_size)).to(device)
        views = self._views.take(rows)
        levels: int = self._schedule.config.num_train_timesteps
        time = torch.from_numpy(rng.integers(levels, size=fit.batch_size)).to(device)
        added = noise(rng, tuple(views.clean.shape), device)
        silent = torch.from_numpy(rng.random(fit.batch_size) < fit.prompt_dropout).to(device)
        labels = torch.where(silent, len(self._lesson.classes), views.labels)
        noisy = self._schedule.add_noise(views.clean, added, time)
        target = self._target(views.clean, added, time)
        for group in self._optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(number, self.steps)
        self._unet.train()
        losses: dict[str, torch.Tensor] = {}
        for name, factor, weight, told in self._tasks(views):
            predicted = self._predicted(noisy, time, labels, told)
            error = (predicted.float() - target).square().mean(dim=1, keepdim=True)
            # Per pixel of the mask: a small defect counts as much as a large one.
            loss = ((error * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp_min(1e-3)).mean()
            self._place.backward(factor * loss)
            losses[name] = loss.detach()
        self._place.accelerator.clip_grad_norm_(self._lora.values(), _GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        follow(self._average.values(), self._lora.values(), number, fit.ema)
        return losses

    def _tasks(self, views: Views) -> Iterator[tuple[str, float, torch.Tensor, torch.Tensor]]:
        """Name, factor, weight of each latent pixel, and what the network is told beside the noisy latents."""
        fit = self._parameters.fit
        if fit.defect_weight > 0:
            told = torch.cat([views.defect, views.around_defect], dim=1)
            yield "defect", fit.defect_weight, views.cover, told
        if fit.object_weight > 0:
            weight = fit.outside_weight + (1 - fit.outside_weight) * views.cover
            yield "object", fit.object_weight, weight, torch.cat([views.boxes, views.around_boxes], dim=1)

    def _predicted(
        self, noisy: torch.Tensor, time: torch.Tensor, labels: torch.Tensor, told: torch.Tensor
    ) -> torch.Tensor:
        unet = self._place.bare(self._unet)
        values = torch.cat([noisy, told], dim=1) if unet.config.in_channels > noisy.shape[1] else noisy
        texts = {key: value[labels] for key, value in self._texts.items()}
        more: dict[str, Any] = {}
        if "pooled_prompt_embeds" in texts:  # SDXL is told sizes too: the crop is shown whole
            sizes = [self._lesson.crop_px] * 2
            ids = torch.tensor([[*sizes, 0, 0, *sizes]], device=noisy.device).repeat(len(noisy), 1)
            more["added_cond_kwargs"] = {
                "text_embeds": texts["pooled_prompt_embeds"].to(unet.dtype),
                "time_ids": ids.to(unet.dtype),
            }
        with self._place.autocast():
            found: torch.Tensor = self._unet(
                values.to(unet.dtype), time, encoder_hidden_states=texts["prompt_embeds"].to(unet.dtype), **more
            ).sample
        return found

    def _target(self, clean: torch.Tensor, added: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        kind: str = self._schedule.config.prediction_type
        if kind == "v_prediction":
            return torch.as_tensor(self._schedule.get_velocity(clean, added, time))
        return clean if kind == "sample" else added

    def state(self) -> dict[str, torch.Tensor]:
        """LoRA weights, their averages and the optimiser's state."""
        found = {f"lora/{key}": value.detach().clone() for key, value in self._lora.items()}
        found |= {f"average/{key}": value.clone() for key, value in self._average.items()}
        return found | optimizer_tensors(self._optimizer)

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        with torch.no_grad():
            for key, value in self._lora.items():
                value.copy_(state[f"lora/{key}"])
                self._average[key].copy_(state[f"average/{key}"])
        restore_optimizer(self._optimizer, dict(state))

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """So many of each class, painted on good crops with the averaged weights."""
        with self._averaged(), self._place.autocast():
            return super().samples(count, rng)

    def save(self, folder: Path) -> None:
        """Write the averaged LoRA and which pipeline it belongs to."""
        with self._averaged():
            unet = self._place.bare(self._unet)
            layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
            self.painter.pipe.save_lora_weights(folder, unet_lora_layers=layers, weight_name=LORA)
        super().save(folder)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in the network, within."""
        kept = {key: value.detach().clone() for key, value in self._lora.items()}
        self._unet.eval()
        with torch.no_grad():
            for key, value in self._lora.items():
                value.copy_(self._average[key])
        try:
            yield
        finally:
            with torch.no_grad():
                for key, value in self._lora.items():
                    value.copy_(kept[key])


def _prompt(name: str, fit: PretrainedFit) -> str:
    return prompt_of(name, fit.prompts, template=fit.prompt, subject=fit.subject)

"""LoRA on a pretrained inpainting pipeline (Hu et al. 2021), trained on a few defect crops.

After DefectFill (Song et al., CVPR 2025): a loss inside the defect's mask, where the network sees the background and
paints the defect; and a loss on the whole crop, where random boxes are painted, so that the defect fits its background.
Its loss on attention maps and its LoRA of the text encoder are omitted: pipelines differ too much in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
from carpet_data.learned.crops import CropDataset, GeneratedCrop
from carpet_data.learned.fit_runtime import EMAModel, Runtime, averaged, noise, rate, restore, state_of
from carpet_data.learned.pretrained_inpaint.origin import DESCRIPTION, Base
from carpet_data.learned.pretrained_inpaint.parameters import (
    MemoryRules,
    PretrainedFit,
    PretrainedParameters,
    prompt_of,
)
from carpet_data.learned.pretrained_inpaint.pipeline import LORA, Painter, dtype_of
from carpet_data.learned.pretrained_inpaint.views import Views, encoded
from carpet_data.networks import devices
from carpet_data.store.files import write_bytes

__all__ = ["LoraLearner", "UntrainedLearner"]

_GRADIENT = 1.0
"""Maximum norm of the gradient of a step."""


class UntrainedLearner:
    """The pipeline as it is: nothing is trained, but it is loaded, tried and recorded."""

    steps = 0

    def __init__(self, data: CropDataset, parameters: PretrainedParameters, base: Base, runtime: Runtime) -> None:
        self.batch_size = 1
        self._data, self._parameters, self._base, self._runtime = data, parameters, base, runtime
        half = runtime.precision == "bf16" and runtime.device.type == "cuda"
        dtype = torch.bfloat16 if half else torch.float32
        if not parameters.fit.lora_rank:
            dtype = dtype_of(parameters.dtype, runtime.device)
        # Offloading moves weights between calls, so a LoRA is trained without it.
        memory = MemoryRules() if parameters.fit.lora_rank else parameters.memory
        self.painter = Painter.open(base, runtime.device, dtype, memory)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """Never called: there are no steps."""
        raise ValueError(f"no step {number}: nothing is trained")

    def state(self) -> dict[str, torch.Tensor]:
        """Empty: nothing changes."""
        return {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Accept the empty state alone."""
        if state:
            raise DataError(f"a fit without a LoRA has no weights (got {len(state)})", hint="use --overwrite")

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """Samples of each class, painted on clean crops; see `Learner.samples`."""
        p = self._parameters
        found: list[GeneratedCrop] = []
        for label, name in enumerate(self._data.classes):
            batch = self._data.draw(rng, count, 0.0, only=label)
            for image, mask in zip(batch.images, batch.masks, strict=True):
                painted = self.painter.paint(
                    image,
                    mask > 0,
                    prompt_of(name, p.fit),
                    rng,
                    negative=p.negative_prompt,
                    guidance=p.guidance,
                    steps=p.sample_steps,
                )
                # As in synthesis, a crop stays as it is outside its mask.
                mixed = np.where((mask > 0)[:, :, None], painted, image)
                found.append(GeneratedCrop(name, np.rint(mixed).astype(np.uint8), mask))
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
            "classes": list(self._data.classes),
            "prompts": {name: prompt_of(name, fit) for name in self._data.classes},
            "crop_px": self._data.crop_px,
            "context": self._data.context,
        }
        write_bytes(folder / DESCRIPTION, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


class LoraLearner(UntrainedLearner):
    """Trains a LoRA of the UNet's attention on encoded crops.

    Raises:
        DataError: The pipeline has no UNet, no such layers, or no embeddings of prompts.
    """

    def __init__(self, data: CropDataset, parameters: PretrainedParameters, base: Base, runtime: Runtime) -> None:
        super().__init__(data, parameters, base, runtime)
        fit = parameters.fit
        self.steps, self.batch_size = fit.steps, fit.batch_size
        pipe = self.painter.pipe
        unet = pipe.components.get("unet")
        if unet is None:
            raise DataError(
                f"a LoRA needs a pipeline with a UNet, and this {base.kind} has none",
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
        self._average = EMAModel(self._lora.values(), decay=fit.ema, foreach=True)
        optimizer = torch.optim.AdamW(self._lora.values(), lr=fit.learning_rate)
        self._unet, self._optimizer = runtime.prepare(unet, optimizer)
        smaller = "write a smaller crop_px under fit in the recipe, and fit that"
        with devices.memory_guard(self.batch_size, runtime.device, hint=smaller):
            self._views = encoded(data, self.painter, fit.views, runtime.rng("views"))
            self._texts = self._embedded(data, fit)

    def _add_lora(self, unet: Any, fit: PretrainedFit) -> None:
        settings = LoraConfig(
            r=fit.lora_rank,
            lora_alpha=fit.lora_rank,
            init_lora_weights="gaussian",
            target_modules=list(fit.target_modules),
        )
        try:
            with devices.seeded(self._runtime.seed, device=self._runtime.device):
                unet.add_adapter(settings)
        except ValueError as error:
            raise DataError(
                f"unknown UNet layers {', '.join(fit.target_modules)}",
                where=self._base.folder,
                hint="give target_modules in the recipe's fit as diffusers names them, such as to_q",
            ) from error
        cast_training_params(unet, dtype=torch.float32)

    def _embedded(self, data: CropDataset, fit: PretrainedFit) -> dict[str, torch.Tensor]:
        """Embeddings of all prompts by label, the empty prompt last."""
        prompts = [*(prompt_of(name, fit) for name in data.classes), ""]
        found = [self.painter.texts(prompt, guided=False) for prompt in prompts]
        if "prompt_embeds" not in found[0]:
            raise DataError(
                f"a LoRA needs embeddings of prompts, and this {self._base.kind} gives none",
                where=self._base.folder,
                hint="write lora_rank: 0 in the recipe's fit to use the pipeline as it is",
            )
        return {key: torch.cat([texts[key] for texts in found]).float() for key in found[0]}

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimization step; see `Learner.step`."""
        fit, rng, device = self._parameters.fit, self._runtime.rng("step", number), self._runtime.device
        rows = torch.from_numpy(rng.integers(len(self._views.labels), size=fit.batch_size)).to(device)
        views = self._views.take(rows)
        levels: int = self._schedule.config.num_train_timesteps
        time = torch.from_numpy(rng.integers(levels, size=fit.batch_size)).to(device)
        added = noise(rng, tuple(views.clean.shape), device)
        silent = torch.from_numpy(rng.random(fit.batch_size) < fit.prompt_dropout).to(device)
        labels = torch.where(silent, len(self._data.classes), views.labels)
        noisy = self._schedule.add_noise(views.clean, added, time)
        target = self._target(views.clean, added, time)
        for group in self._optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(number, self.steps)
        self._unet.train()
        losses: dict[str, torch.Tensor] = {}
        for name, factor, weight, given in self._tasks(views):
            predicted = self._predicted(noisy, time, labels, given)
            error = (predicted.float() - target).square().mean(dim=1, keepdim=True)
            # Normalized by the mask: a small defect counts as much as a large one.
            loss = ((error * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp_min(1e-3)).mean()
            self._runtime.backward(factor * loss)
            losses[name] = loss.detach()
        self._runtime.accelerator.clip_grad_norm_(self._lora.values(), _GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.step(self._lora.values())
        return losses

    def _tasks(self, views: Views) -> Iterator[tuple[str, float, torch.Tensor, torch.Tensor]]:
        """Name, factor, weight of each latent pixel, and the network's input beside the noisy latents."""
        fit = self._parameters.fit
        if fit.defect_weight > 0:
            given = torch.cat([views.defect, views.around_defect], dim=1)
            yield "defect", fit.defect_weight, views.cover, given
        if fit.object_weight > 0:
            weight = fit.outside_weight + (1 - fit.outside_weight) * views.cover
            yield "object", fit.object_weight, weight, torch.cat([views.boxes, views.around_boxes], dim=1)

    def _predicted(
        self, noisy: torch.Tensor, time: torch.Tensor, labels: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        unet = self._runtime.bare(self._unet)
        values = torch.cat([noisy, given], dim=1) if unet.config.in_channels > noisy.shape[1] else noisy
        texts = {key: value[labels] for key, value in self._texts.items()}
        more: dict[str, Any] = {}
        if "pooled_prompt_embeds" in texts:  # SDXL takes sizes too: the crop is shown whole
            sizes = [self._data.crop_px] * 2
            ids = torch.tensor([[*sizes, 0, 0, *sizes]], device=noisy.device).repeat(len(noisy), 1)
            more["added_cond_kwargs"] = {
                "text_embeds": texts["pooled_prompt_embeds"].to(unet.dtype),
                "time_ids": ids.to(unet.dtype),
            }
        with self._runtime.autocast():
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
        """See `Learner.state`."""
        lora = {f"lora/{key}": value.detach().clone() for key, value in self._lora.items()}
        return lora | state_of({}, {"optimizer": self._optimizer}, {"average": self._average})

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Learner.restore`."""
        with torch.no_grad():
            for key, value in self._lora.items():
                value.copy_(state[f"lora/{key}"])
        restore(state, {}, {"optimizer": self._optimizer}, {"average": self._average})

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """As without a LoRA, with the averaged weights."""
        with averaged(self._unet, self._average), self._runtime.autocast():
            return super().samples(count, rng)

    def save(self, folder: Path) -> None:
        """Write the averaged LoRA and which pipeline it belongs to."""
        with averaged(self._unet, self._average):
            layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(self._runtime.bare(self._unet)))
            self.painter.pipe.save_lora_weights(folder, unet_lora_layers=layers, weight_name=LORA)
        super().save(folder)

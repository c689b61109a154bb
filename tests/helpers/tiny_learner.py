"""A small real learned method for tests of fitting: one convolution that takes noise from crops, by Adam, in a second.

Its faults can be asked for, as a recipe: a loss that is no number, a full memory, a step that is slow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import LearnedMethod
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.fit_parameters import FitParameters

if TYPE_CHECKING:
    import torch

    from carpet_data.learned.crops import CropDataset, GeneratedCrop
    from carpet_data.learned.fit_runtime import Runtime

NAME, TARGET = "tiny", "helpers.tiny_learner:Tiny"
WEIGHTS, FACTS = "weights.safetensors", "facts.json"


class TinyFit(FitParameters):
    crop_px: int = Field(default=32, description="Of the crop.")
    steps: int = Field(default=60, description="Of the fit.")
    batch_size: int = Field(default=4, description="Crops a step.")
    learning_rate: float = Field(default=0.01, description="Of Adam.")
    precision: Literal["auto", "full", "bf16"] = Field(default="full", description="Of the multiplications.")
    fault: Literal["none", "nan", "memory"] = Field(default="none", description="What goes wrong.")
    at: int = Field(default=0, description="Step at which it does.")
    slow_s: float = Field(default=0.0, description="Seconds that each step waits.")


class TinyParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: TinyFit = Field(default_factory=lambda: TinyFit.model_validate({}), description="Of the network.")
    strength: float = Field(default=1.0, description="Of sampling; changing it needs no new fit.")


class TinyLearner:
    def __init__(self, data: CropDataset, parameters: TinyParameters, runtime: Runtime) -> None:
        import torch

        from carpet_data.networks import devices

        self.data, self.runtime, self.values = data, runtime, parameters.fit
        self.steps, self.batch_size = parameters.fit.steps, parameters.fit.batch_size
        with devices.seeded(runtime.seed):
            network = torch.nn.Conv2d(4, 3, 3, padding=1)
        optimizer = torch.optim.Adam(network.parameters(), lr=parameters.fit.learning_rate)
        self.network, self.optimizer = runtime.prepare(network, optimizer)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        import torch

        from carpet_data.learned.fit_runtime import noise, tensors

        time.sleep(self.values.slow_s)
        rng = self.runtime.rng("step", number)
        batch = self.data.draw(rng, self.batch_size, 0.5)
        clean = tensors(batch.images, self.runtime.device)
        mask = torch.from_numpy(batch.masks)[:, None].to(self.runtime.device)
        made = self.network(torch.cat([clean + noise(rng, tuple(clean.shape), self.runtime.device), mask], dim=1))
        loss = (made - clean).square().mean()
        if number == self.values.at and self.values.fault == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        if number == self.values.at and self.values.fault == "nan":
            loss = loss * torch.nan
        self.optimizer.zero_grad()
        self.runtime.backward(loss)
        self.optimizer.step()
        return {"denoise": loss.detach()}

    def state(self) -> dict[str, torch.Tensor]:
        from carpet_data.learned.fit_runtime import state_of

        return state_of({"network": self.runtime.bare(self.network)}, {"adam": self.optimizer})

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        from carpet_data.learned.fit_runtime import restore

        restore(state, {"network": self.runtime.bare(self.network)}, {"adam": self.optimizer})

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """Real crops with much noise, as the network cleans them."""
        import torch

        from carpet_data.learned.crops import GeneratedCrop
        from carpet_data.learned.fit_runtime import levels, noise, tensors

        found = []
        for name in self.data.classes:
            example = next(e for e in self.data.examples if e.class_name == name)
            image, mask = self.data.crop(example)
            seen = tensors(image[None], self.runtime.device)
            with torch.inference_mode():
                for _ in range(count):
                    noisy = seen + noise(rng, tuple(seen.shape), self.runtime.device)
                    given = torch.cat([noisy, torch.from_numpy(mask)[None, None].to(self.runtime.device)], dim=1)
                    made = levels(self.runtime.bare(self.network)(given))[0]
                    found.append(GeneratedCrop(name, np.rint(made).astype(np.uint8), mask))
        return found

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        tensors = {key: value.cpu().contiguous() for key, value in self.runtime.bare(self.network).state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        (folder / FACTS).write_text(json.dumps({"classes": self.data.classes}))


class Tiny(LearnedMethod):
    version = 1
    donors_needed = 1
    least_donors = 2
    Parameters: type[BaseModel] = TinyParameters

    def learner(self, data: CropDataset, parameters: Any, runtime: Runtime) -> TinyLearner:
        return TinyLearner(data, parameters, runtime)


def register() -> None:
    """Make the method known to this process."""
    registry.METHODS.builtin[NAME] = (TARGET, "of the tests")


def recipe(folder: Path, name: str = "tiny", **fit: Any) -> Path:
    """Write a recipe file with these values of the fit."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    values = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in fit.items())
    path.write_text(
        f"schema: 1\nmethod: {NAME}\nversion: 1\nparameters:\n  fit:{' {}' if not fit else ''}\n{values}",
        encoding="utf-8",
    )
    return path

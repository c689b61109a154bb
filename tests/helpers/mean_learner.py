"""A small real learned method for tests of the engine: it learns the mean colour of each class, and paints discs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, LearnedMethod, Redraw, Scene
from carpet_data.synthesis.recipe.fit_parameters import FitParameters

if TYPE_CHECKING:
    import torch

    from carpet_data.learned.crops import CropDataset, GeneratedCrop
    from carpet_data.learned.fit_loop import Learner
    from carpet_data.learned.fit_runtime import Runtime

TARGET = "helpers.mean_learner:Mean"
NAMES, COLOURS = "classes.json", "colours.safetensors"


class MeanFit(FitParameters):
    crop_px: int = Field(32, description="Of the crop.")
    steps: int = Field(20, description="Of the fit.")
    batch_size: int = Field(4, description="Crops a step.")
    learning_rate: float = Field(0.2, description="Of plain gradient descent.")


class MeanParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: MeanFit = Field(default_factory=lambda: MeanFit.model_validate({}), description="Of the colours.")
    radius_px: int = Field(4, ge=1, description="Of the discs.")
    redraw_share: float = Field(0.3, ge=0, le=1, description="How often a draw is thrown away.")


class MeanLearner:
    def __init__(self, data: CropDataset, parameters: MeanParameters, runtime: Runtime) -> None:
        import torch

        self.data, self.runtime, self.rate = data, runtime, parameters.fit.learning_rate
        self.steps, self.batch_size = parameters.fit.steps, parameters.fit.batch_size
        self.colours = torch.zeros(len(data.classes), 3, device=runtime.device)

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        import torch

        from carpet_data.learned.fit_runtime import tensors

        batch = self.data.draw(self.runtime.rng("step", number), self.batch_size, 1.0)
        weight = torch.from_numpy(batch.masks)[:, None].to(self.runtime.device)
        seen = (tensors(batch.images, self.runtime.device) * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1e-6)
        label = torch.from_numpy(batch.labels)
        wrong = seen - self.colours[label]
        self.colours = self.colours.index_add(0, label, self.rate * wrong / self.batch_size)
        return {"loss": wrong.square().mean()}

    def state(self) -> dict[str, torch.Tensor]:
        return {"colours": self.colours.clone()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        self.colours = state["colours"].to(self.runtime.device)

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        from carpet_data.learned.crops import GeneratedCrop
        from carpet_data.learned.fit_runtime import levels

        size = self.data.crop_px
        flat = levels(self.colours[:, :, None, None].expand(-1, -1, size, size))
        mask = np.zeros((size, size), np.float32)
        mask[size // 4 : size // 2, size // 4 : size // 2] = 1
        return [
            GeneratedCrop(name, np.rint(flat[n] + rng.uniform(-1, 1)).clip(0, 255).astype(np.uint8), mask)
            for n, name in enumerate(self.data.classes)
            for _ in range(count)
        ]

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        save_file({"colours": self.colours.cpu().contiguous()}, folder / COLOURS)
        (folder / NAMES).write_text(json.dumps(self.data.classes))


class Mean(LearnedMethod):
    version = 1
    donors_needed = 1
    least_donors = 2
    Parameters: type[BaseModel] = MeanParameters

    def learner(self, data: CropDataset, parameters: MeanParameters, runtime: Runtime) -> Learner:
        return MeanLearner(data, parameters, runtime)

    def open(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file

        self.device = device
        self.colours = load_file(folder / COLOURS)["colours"].to(device)
        self.classes = json.loads((folder / NAMES).read_text())

    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        import torch

        from carpet_data.learned.fit_runtime import levels, noise
        from carpet_data.networks import devices

        if rng.random() < parameters.redraw_share:
            raise Redraw
        height, width = scene.host.shape[:2]
        radius = parameters.radius_px
        x, y = (int(rng.integers(radius + 1, side - radius - 1)) for side in (width, height))
        rows, columns = np.ogrid[:height, :width]
        mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        device = torch.device(self.device)
        with devices.one_thread(device), torch.inference_mode():
            colour = self.colours[self.classes.index(scene.facts.class_name)]
            grain = torch.nn.functional.avg_pool2d(noise(rng, (1, 3, height, width), device), 3, 1, 1)
            made = levels(colour[None, :, None, None] + 0.2 * grain)[0]
        image = scene.host.copy()
        image[mask] = np.rint(made[mask]).astype(np.uint8)
        return Candidate(image, mask, (x - radius, y - radius, 2 * radius + 1, 2 * radius + 1), {"centre": [x, y]})

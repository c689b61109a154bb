"""What every fit needs from torch: device, precision, processes, randomness, learning rate and averaged weights.

Importing this module needs the extra `generate` and says so where it is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import seeds
from carpet_data.core.text import counted
from carpet_data.errors import MissingExtraError, UsageError
from carpet_data.synthesis.engine.fitted_models import LEARNED_PACKAGES

MissingExtraError.require(LEARNED_PACKAGES, "generate", "a learned recipe")

import torch  # noqa: E402 - only where it is there
from accelerate import Accelerator, PartialState  # noqa: E402
from diffusers.training_utils import EMAModel  # noqa: E402

from carpet_data.core.memory import keep_freed_memory  # noqa: E402
from carpet_data.networks import devices  # noqa: E402
from carpet_data.networks.checkpoints import optimizer_tensors, restore_optimizer  # noqa: E402

__all__ = ["EMAModel", "Runtime", "averaged", "levels", "noise", "rate", "restore", "state_of", "tensors"]

_WARM_UP = 0.1
"""Share of the steps over which the learning rate rises, unless a method asks for fewer."""


@dataclass(frozen=True, eq=False)
class Runtime:
    """Where a fit runs (one process of accelerate, or one of several that share the work), and from which seed."""

    accelerator: Accelerator
    precision: Literal["full", "bf16"]
    seed: int

    @classmethod
    def at(cls, device: str = "auto", *, precision: Literal["auto", "full", "bf16"] = "auto", seed: int = 0) -> Runtime:
        """The runtime on a device, see `carpet_data.networks.devices.resolve`.

        Under `accelerate launch` each process has its own GPU. The precision "auto" is bf16 where the hardware
        multiplies it (GPUs since Ampere, CPUs with AMX).

        Raises:
            UsageError: The device is unknown or not available, or this process already uses another one.
        """
        found = devices.resolve(device)
        is_cpu = found.type == "cpu"
        # accelerate keeps the first device of a process: a second one would be taken for the first, or refused with a
        # traceback.
        first = PartialState(cpu=is_cpu).device
        if first.type != found.type:
            raise UsageError(
                f"this process already computes on {first.type} and cannot change to {found}",
                hint="start another process for the other device",
            )
        if is_cpu:
            keep_freed_memory()
        elif found.index is not None:
            torch.cuda.set_device(found)
        fast = _multiplies_bf16(found) if precision == "auto" else precision == "bf16"
        return cls(Accelerator(cpu=is_cpu), "bf16" if fast else "full", seed)

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def device_name(self) -> str:
        """For people, such as "NVIDIA H100" or "cpu, 2 threads"."""
        if self.device.type == "cuda":
            return str(torch.cuda.get_device_name(self.device))
        return f"cpu, {counted(torch.get_num_threads(), 'thread')}" if self.device.type == "cpu" else str(self.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints; only one of several does."""
        return bool(self.accelerator.is_main_process)

    def prepare(self, *parts: Any) -> Any:
        """Models and optimizers, moved to the device and wrapped for several processes."""
        return self.accelerator.prepare(*parts)

    def bare(self, model: Any) -> Any:
        """A prepared model without its wrapping."""
        return self.accelerator.unwrap_model(model)

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of a loss."""
        self.accelerator.backward(loss)

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision for a forward pass."""
        if self.precision == "full":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def rng(self, *key: str | int) -> np.random.Generator:
        """The generator for a key of the fit; each process has its own."""
        return seeds.generator(self.seed, "fit", int(self.accelerator.process_index), *key)


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def tensors(images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """uint8 n x h x w x3 as float32 n x3 x h x w, -1..1, on the device."""
    values = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return values.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def levels(values: torch.Tensor) -> NDArray[np.float32]:
    """n x3 x h x w, -1..1, as float32 n x h x w x3 in levels 0..255."""
    clipped = (values.detach().float().clamp(-1, 1) + 1.0) * 127.5
    found: NDArray[np.float32] = clipped.permute(0, 2, 3, 1).cpu().numpy()
    return found


def noise(rng: np.random.Generator, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Standard normal float32, drawn by numpy so that every device gets the same."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(device)


def rate(step: int, steps: int, *, max_warm_up: int | None = None, last: float = 0.05) -> float:
    """The learning rate of a step (from 0) as a share of the largest one: a linear rise, then half a cosine.

    The rise takes at most `max_warm_up` steps, None for a tenth of all; the cosine ends at the share `last`.
    """
    warm = max(1, round(_WARM_UP * steps))
    if max_warm_up is not None:
        warm = min(warm, max_warm_up)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return last + (1 - last) * (1 + math.cos(math.pi * done)) / 2


@contextmanager
def averaged(model: torch.nn.Module, average: EMAModel) -> Iterator[None]:
    """The averaged weights in a model, which is in eval mode meanwhile; its own weights come back afterwards."""
    parameters, was_training = [each for each in model.parameters() if each.requires_grad], model.training
    average.store(parameters)
    average.copy_to(parameters)
    model.eval()
    try:
        yield
    finally:
        average.restore(parameters)
        model.train(was_training)


def state_of(
    modules: Mapping[str, torch.nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    averages: Mapping[str, EMAModel] | None = None,
) -> dict[str, torch.Tensor]:
    """All weights, buffers, optimizer states and averaged weights as named tensors, copied."""
    found = {
        f"{name}/{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for name, optimizer in optimizers.items():
        found |= {f"{name}/{key}": value for key, value in optimizer_tensors(optimizer).items()}
    for name, average in (averages or {}).items():
        found |= {f"{name}/{number}": value.detach().clone() for number, value in enumerate(average.shadow_params)}
        found[f"{name}/step"] = torch.tensor(average.optimization_step)
    return found


def restore(
    state: Mapping[str, torch.Tensor],
    modules: Mapping[str, torch.nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    averages: Mapping[str, EMAModel] | None = None,
) -> None:
    """Put back what `state_of` took."""

    def of(name: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}

    for name, module in modules.items():
        module.load_state_dict(of(name))
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, of(name))
    for name, average in (averages or {}).items():
        kept = of(name)
        average.optimization_step = int(kept["step"])
        for number, value in enumerate(average.shadow_params):
            value.copy_(kept[str(number)])

"""Where a fit runs: device, precision, processes and chance, in one place for every learned method.

Importing this module needs the extra `generate` and says so where it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import seeds
from carpet_data.errors import MissingExtraError, UsageError
from carpet_data.synthesis.engine.fitted_models import LEARNED_PACKAGES

MissingExtraError.require(LEARNED_PACKAGES, "generate", "a learned recipe")

import torch  # noqa: E402 - only where it is there
from accelerate import Accelerator, PartialState  # noqa: E402

from carpet_data.networks import devices  # noqa: E402
from carpet_data.networks.checkpoints import optimizer_tensors, restore_optimizer  # noqa: E402

__all__ = ["Place", "levels", "noise", "restore", "state_of", "tensors"]

Precision = Literal["auto", "full", "bf16"]


@dataclass(frozen=True, eq=False)
class Place:
    """Where and from which seed a fit runs.

    Attributes:
        accelerator: Of Hugging Face accelerate: one process, or one of several that share the work.
        precision: "bf16" or "full".
        seed: Of the fit.
    """

    accelerator: Accelerator
    precision: Literal["full", "bf16"]
    seed: int

    @classmethod
    def at(cls, device: str = "auto", *, precision: Precision = "auto", seed: int = 0) -> Place:
        """The place of a device name, see `carpet_data.networks.devices.resolve`.

        Args:
            device: "auto", "cpu", "cuda", "cuda:1", "mps". Under `accelerate launch` each process has its own GPU.
            precision: auto is bf16 where the hardware multiplies it (GPUs since Ampere, CPUs with AMX).
            seed: Of the fit, 0 or more.

        Raises:
            UsageError: There is no such device here, this process computes on another already, or the seed is negative.
        """
        seeds.refuse_negative(seed)
        found = devices.resolve(device)
        is_cpu = found.type == "cpu"
        # accelerate keeps the first device of a process: a second one would be taken for the first, or refused with a
        # traceback.
        first = PartialState(cpu=is_cpu).device
        if first.type != found.type:
            raise UsageError(
                f"this process computes on {first.type} already, now asked for {found}",
                hint="start another process for the other device",
            )
        if is_cpu:
            devices.keep_freed_memory()
        elif found.index is not None:
            torch.cuda.set_device(found)
        accelerator = Accelerator(cpu=is_cpu)
        fast = _multiplies_bf16(found) if precision == "auto" else precision == "bf16"
        return cls(accelerator, "bf16" if fast else "full", seed)

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks; of several only one does."""
        return bool(self.accelerator.is_main_process)

    def prepare(self, *parts: Any) -> Any:
        """Models and optimisers, moved to the device and wrapped for several processes."""
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
        """The generator of a place in the tree of the fit, each process its own branch."""
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


def state_of(
    modules: Mapping[str, torch.nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, torch.Tensor]:
    """All weights, buffers and optimiser states as named tensors, copied."""
    found = {
        f"{name}/{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for name, optimizer in optimizers.items():
        found |= {f"{name}/{key}": value for key, value in optimizer_tensors(optimizer).items()}
    return found


def restore(
    state: Mapping[str, torch.Tensor],
    modules: Mapping[str, torch.nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put back what `state_of` took."""

    def of(name: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}

    for name, module in modules.items():
        module.load_state_dict(of(name))
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, of(name))

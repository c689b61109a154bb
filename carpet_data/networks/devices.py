"""Where tensors live: the device, its precision, its seeds, and what happens when it is full."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

from carpet_data.core.memory import keep_freed_memory
from carpet_data.errors import DeviceMemoryError, UsageError

__all__ = [
    "amp",
    "deterministic",
    "generator",
    "memory_guard",
    "one_thread",
    "resolve",
    "scaler",
    "seeded",
    "synchronize",
]

_FULL = re.compile(r"not enough memory|can't allocate memory|cannot allocate memory|out of memory", re.IGNORECASE)


def resolve(name: str = "auto") -> torch.device:
    """The device of a name: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        UsageError: The device does not exist.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", hint="use --device auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            there = f"{count} GPUs" if count else "no GPU"
            raise UsageError(f"no device {name}: torch finds {there}", hint="use --device auto or cpu")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("no device mps: torch finds no Apple GPU", hint="use --device auto or cpu")
    elif device.type != "cpu":
        raise UsageError(f"unsupported device {name!r}", hint="use --device auto, cpu or cuda")
    return device


def generator(seed: int, *keys: int) -> torch.Generator:
    """A generator on the CPU for one stream of a seed, such as (partition, epoch)."""
    return torch.Generator().manual_seed(_word(seed, keys))


@contextmanager
def seeded(seed: int, *keys: int, device: torch.device | None = None) -> Iterator[None]:
    """Lend torch's own generators, from which layers such as dropout draw, and give them back as they were.

    The generator of a GPU is lent too where it is the device.
    """
    word = _word(seed, keys)
    if device is None or device.type != "cuda":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(word)
            yield
        return
    index = device.index if device.index is not None else torch.cuda.current_device()
    with torch.random.fork_rng(devices=[index]):
        torch.default_generator.manual_seed(word)
        with torch.cuda.device(index):
            torch.cuda.manual_seed(word)
        yield


def _word(seed: int, keys: tuple[int, ...]) -> int:
    words = np.random.SeedSequence(seed, spawn_key=keys).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Only algorithms that give the same bits each time, on the CPU; on a GPU that of cuDNN, at no great cost.

    A GPU's promise is the seed and a tolerance: adding in another order changes last bits.
    """
    if device.type == "cpu":
        before = torch.are_deterministic_algorithms_enabled()
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32):
        yield


def amp(device: torch.device, wanted: bool = True) -> AbstractContextManager[object]:
    """Mixed precision on a GPU: bfloat16 where it has it, else float16; nothing on a CPU."""
    if not wanted or device.type != "cuda":
        return nullcontext()
    return torch.autocast("cuda", dtype=_half())


def scaler(device: torch.device, wanted: bool = True) -> torch.amp.GradScaler:
    """The scaler of gradients that float16 needs; it does nothing for any other precision."""
    return torch.amp.GradScaler("cuda", enabled=wanted and device.type == "cuda" and _half() is torch.float16)


def _half() -> torch.dtype:
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


@contextmanager
def one_thread(device: torch.device | None) -> Iterator[None]:
    """Compute on one core of the CPU within: for tensors so small that threads would mostly wait for each other.

    Nothing changes for a GPU, or for None.
    """
    if device is None or device.type != "cpu":
        yield
        return
    with threads(1):
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute on this number of cores within, in the thread that calls."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def synchronize(device: torch.device) -> None:
    """Wait for a GPU, so that a clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def memory_guard(
    batch_size: int, device: torch.device, *, size: int | None = None, hint: str | None = None
) -> Iterator[None]:
    """Turn "out of memory" of any kind into an error that says what to do; on the CPU, freed memory is kept.

    The message names the images at a time and their `size` in pixels; a hint of None stands for a smaller --batch-size.

    Raises:
        DeviceMemoryError: The memory of the device is full.
    """
    if device.type == "cpu":
        keep_freed_memory()
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator raises a plain one with a text.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not _FULL.search(str(error)):
            raise
        images = f"{batch_size} images" if size is None else f"{batch_size} images of {size}x{size} pixels"
        if hint is None:
            hint = f"use --batch-size {batch_size // 2}" if batch_size > 1 else "use a smaller --resize or --arch"
        raise DeviceMemoryError(f"out of memory on {device} with {images} per batch", hint=hint) from error

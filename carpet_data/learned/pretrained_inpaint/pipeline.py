"""A pretrained inpainting pipeline of diffusers, opened once and asked for one crop at a time."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError, DeviceMemoryError, MissingExtraError, WeightsError
from carpet_data.learned.fit_runtime import noise
from carpet_data.learned.pretrained_inpaint.origin import Base
from carpet_data.learned.pretrained_inpaint.parameters import MemoryRules
from carpet_data.synthesis.contract import Image, Mask

for _package in ("transformers", "peft"):
    if importlib.util.find_spec(_package) is None:
        raise MissingExtraError.of(_package, "generate", "a pretrained pipeline")

import diffusers  # noqa: E402 - only where all that it needs is there
import torch  # noqa: E402
from PIL import Image as Pictures  # noqa: E402

__all__ = ["LORA", "Painter", "celled", "dtype_of", "quiet"]

F32 = NDArray[np.float32]
Texts = dict[str, torch.Tensor]
"""Arguments of the pipeline's call that carry the prompt, each of one row."""

LORA = "pytorch_lora_weights.safetensors"
_CHANNELS = (4, 9)
"""Channels of a UNet that can inpaint: noisy latents alone, which are restored outside the mask in each step, or with
the mask and the masked image."""
_NAMES: dict[int, tuple[str, ...]] = {
    2: ("prompt_embeds", "negative_prompt_embeds"),
    3: ("prompt_embeds", "pooled_prompt_embeds"),
    4: ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"),
}
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_of(name: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> torch.dtype:
    """The type of the weights; auto is half precision on a CUDA GPU only, where all pipelines support it."""
    if name != "auto":
        return _DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def celled(mask: Mask, cell_px: int) -> Mask:
    """A mask (bool c x c, c a multiple of `cell_px`) extended to whole cells.

    A latent pixel stands for 8x8, and a thin scratch must not fall between them.
    """
    rows, columns = mask.shape[0] // cell_px, mask.shape[1] // cell_px
    cells = mask.reshape(rows, cell_px, columns, cell_px).any(axis=(1, 3))
    return np.asarray(cells.repeat(cell_px, axis=0).repeat(cell_px, axis=1), np.bool_)


@dataclass(eq=False)
class Painter:
    """An opened pipeline, and the device where it computes."""

    pipe: Any
    device: torch.device
    _texts: dict[tuple[str, str, bool], Texts] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()

    @classmethod
    def open(
        cls, base: Base, device: torch.device, dtype: torch.dtype, memory: MemoryRules, lora: Path | None = None
    ) -> Painter:
        """Load a pipeline, with the LoRA weights of a folder where one is given.

        Raises:
            WeightsError: It cannot be loaded, or is not for inpainting.
            DeviceMemoryError: The memory of the device is full.
        """
        with quiet(), _room(device):
            pipe = _loaded(base, dtype)
            if lora is not None:
                pipe.load_lora_weights(lora, weight_name=LORA)
            _move(pipe, device, memory)
        pipe.set_progress_bar_config(disable=True)
        return cls(pipe, device, _known=frozenset(inspect.signature(pipe.__call__).parameters))

    @property
    def cell_px(self) -> int:
        """Width of a latent pixel in image pixels."""
        return int(getattr(self.pipe, "vae_scale_factor", 8))

    def texts(self, prompt: str, negative: str = "", *, guided: bool = True) -> Texts:
        """The embeddings of a prompt, cached; empty if the pipeline cannot give them.

        Raises:
            DataError: The pipeline takes no negative prompt and one is given.
        """
        if negative and "negative_prompt" not in self._known:
            raise DataError(
                f"a {type(self.pipe).__name__} takes no negative prompt", hint='write negative_prompt: "" in the recipe'
            )
        key = (prompt, negative, guided)
        if key not in self._texts:
            self._texts[key] = self._encoded(prompt, negative, guided)
        return self._texts[key]

    def _encoded(self, prompt: str, negative: str, guided: bool) -> Texts:
        encode: Callable[..., Any] | None = getattr(self.pipe, "encode_prompt", None)
        if encode is None:
            return {}
        wanted = {
            "prompt": prompt,
            "prompt_2": prompt,
            "prompt_3": prompt,
            "negative_prompt": negative,
            "device": self.device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": guided,
        }
        taken = inspect.signature(encode).parameters
        with torch.no_grad(), quiet(), _room(self.device):
            found = encode(**{name: value for name, value in wanted.items() if name in taken})
        named = zip(_NAMES.get(len(found), ()), found, strict=False)
        return {name: value for name, value in named if value is not None and name in self._known}

    def paint(
        self,
        image: Image,
        mask: Mask,
        prompt: str,
        rng: np.random.Generator,
        *,
        negative: str = "",
        prompt_noise: float = 0.0,
        guidance: float = 5.0,
        steps: int = 30,
        strength: float = 1.0,
    ) -> F32:
        """Repaint what a mask (bool c x c) covers of an image (uint8 c x c x3).

        `negative` is what to lead away from, `prompt_noise` Gaussian noise on the embeddings in their standard
        deviations, `guidance` the classifier-free guidance scale (1 or less for none), `steps` those from pure noise. A
        strength of 1 starts from pure noise, less from the image with that much noise (SDEdit, Meng et al. 2022).

        Returns:
            float32 c x c x3, levels 0..255. Outside the mask it is near the image, not equal to it.

        Raises:
            DataError: The pipeline does not support a value.
            DeviceMemoryError: The memory of the device is full.
        """
        self._can(strength, prompt_noise)
        texts = _with_noise(self.texts(prompt, negative, guided=guidance > 1), prompt_noise, rng)
        asked: dict[str, Any] = {
            "image": Pictures.fromarray(image),
            "mask_image": Pictures.fromarray(celled(mask, self.cell_px).astype(np.uint8) * 255),
            "height": image.shape[0],
            "width": image.shape[1],
            "strength": strength,
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            # GeneratedCrop on the CPU whatever the device, so that all get the same noise.
            "generator": torch.Generator().manual_seed(int(rng.integers(2**63))),
            "output_type": "np",
            **(texts or {"prompt": prompt, **({"negative_prompt": negative} if negative else {})}),
        }
        with torch.no_grad(), quiet(), _room(self.device):
            made = self.pipe(**{name: value for name, value in asked.items() if name in self._known}).images[0]
        levels = np.asarray(made, np.float32) * 255.0
        if not np.isfinite(levels).all():
            raise DataError(
                "the pipeline painted values that are not finite", hint="use dtype: fp32 or bf16 in the recipe"
            )
        if levels.shape != image.shape:
            levels = np.asarray(cv2.resize(levels, (image.shape[1], image.shape[0])), np.float32)
        return levels

    def _can(self, strength: float, prompt_noise: float) -> None:
        kind = type(self.pipe).__name__
        if strength < 1 and "strength" not in self._known:
            raise DataError(f"a {kind} cannot start from a donor paste", hint="write start: noise in the recipe")
        if prompt_noise > 0 and not hasattr(self.pipe, "encode_prompt"):
            raise DataError(f"a {kind} gives no embeddings of its prompt", hint="write prompt_noise: 0 in the recipe")


def _with_noise(texts: Texts, deviations: float, rng: np.random.Generator) -> Texts:
    """Embeddings with Gaussian noise, in their standard deviations."""
    if deviations <= 0:
        return texts
    words = texts["prompt_embeds"]
    drawn = noise(rng, tuple(words.shape), words.device).to(words.dtype)
    return {**texts, "prompt_embeds": words + deviations * words.std() * drawn}


def _loaded(base: Base, dtype: torch.dtype) -> Any:
    kind: Any = getattr(diffusers, base.kind, None)
    # A pipeline that takes a mask is used as it is: the automatic choice does not know FLUX fill.
    if kind is None or "mask_image" not in inspect.signature(kind.__call__).parameters:
        kind = diffusers.AutoPipelineForInpainting
    without: dict[str, Any] = dict.fromkeys(base.unused)
    if "safety_checker" in without:
        without["requires_safety_checker"] = False
    try:
        pipe = kind.from_pretrained(
            base.folder,
            variant=base.variant,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            **without,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise WeightsError(
            f"this {base.kind} cannot be loaded for inpainting ({' '.join(str(error).split())[:300]})",
            where=base.folder,
            hint="give an inpainting pipeline of diffusers with weights as safetensors, and the variant that it has",
        ) from error
    if pipe.dtype != dtype:  # older versions of diffusers ignore `dtype`
        pipe.to(dtype=dtype)
    unet = pipe.components.get("unet")
    if unet is not None and unet.config.in_channels not in _CHANNELS:
        raise WeightsError(
            f"the UNet of this {base.kind} takes {unet.config.in_channels} channels and is not for inpainting",
            where=base.folder,
            hint="give a pipeline whose UNet takes 9 channels (or 4: the image is then restored outside the mask)",
        )
    return pipe


def _move(pipe: Any, device: torch.device, memory: MemoryRules) -> None:
    if memory.attention_slicing:
        pipe.enable_attention_slicing()
    if memory.vae_slicing:
        pipe.vae.enable_slicing()
    if memory.vae_tiling:
        pipe.vae.enable_tiling()
    if device.type == "cpu" or memory.offload == "none":
        pipe.to(device)
    elif memory.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.enable_sequential_cpu_offload(device=device)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences bars and hints of the libraries: the command has its own bar, and problems come as errors."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    both = (of_diffusers, of_transformers)
    before = [(logging.get_verbosity(), logging.is_progress_bar_enabled()) for logging in both]
    for logging in both:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for (verbosity, has_bars), logging in zip(before, both, strict=True):
            logging.set_verbosity(verbosity)
            if has_bars:
                logging.enable_progress_bar()


@contextmanager
def _room(device: torch.device) -> Iterator[None]:
    """Turns "out of memory" into an error that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"out of memory on {device}: the pipeline does not fit",
            hint="in the recipe use memory: {offload: model} (then sequential), dtype: bf16, or a smaller fit.crop_px",
        ) from error

"""What a recipe of `pretrained-inpaint` can say; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.recipe.fit_parameters import FitParameters

__all__ = ["MemoryRules", "PretrainedFit", "PretrainedParameters", "prompt_of"]


def _checked(template: str) -> str:
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is not None and (name not in ("subject", "defect") or form or conversion):
            raise ValueError(f"unknown field {{{name}}} in a prompt: use {{subject}} and {{defect}}")
    return template


Template = Annotated[str, AfterValidator(_checked)]


class PretrainedFit(FitParameters):
    """Which pipeline, and how its LoRA is trained."""

    pipeline: str = Field(
        default="stable-diffusion-v1-5/stable-diffusion-inpainting",
        min_length=1,
        description="Folder of a diffusers pipeline, or its name on the hub; only a name is ever downloaded.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit on the hub; null for the newest.")
    variant: str | None = Field(
        default=None, description="Variant of the weight files, such as fp16; null for the plain ones."
    )
    subject: str = Field(default="a surface", min_length=1, description="What the images show, used in prompts.")
    prompt: Template = Field(
        default="a close-up photo of {subject} with a {defect}",
        min_length=1,
        description="Prompt of every class; {subject} and {defect} are filled in.",
    )
    prompts: dict[str, Template] = Field(
        default_factory=dict, description="class: prompt, for classes that need their own."
    )
    lora_rank: int = Field(
        default=8, ge=0, le=256, description="Rank of the LoRA; 0 trains nothing, the pipeline is used as it is."
    )
    target_modules: tuple[str, ...] = Field(
        default=("to_q", "to_k", "to_v", "to_out.0"), min_length=1, description="Layers of the UNet that get a LoRA."
    )
    crop_px: int = Field(
        default=512, ge=64, le=1024, multiple_of=64, description="Image size that the pipeline was trained on."
    )
    steps: int = Field(default=400, ge=1, le=1_000_000, description="Number of optimization steps of the LoRA.")
    batch_size: int = Field(default=4, ge=1, le=1024, description="Crops in a step.")
    learning_rate: float = Field(default=1e-4, gt=0, le=1, description="Maximum learning rate; it warms up and decays.")
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the averaged LoRA weights, which are used; 0 for none."
    )
    defect_weight: float = Field(
        default=1.0, ge=0, description="Weight of the loss inside the mask, with the defect masked out."
    )
    object_weight: float = Field(
        default=0.4, ge=0, description="Weight of the loss on the whole crop, with random boxes masked out."
    )
    outside_weight: float = Field(
        default=0.3, ge=0, le=1, description="Weight of background relative to defect in the loss on the whole crop."
    )
    prompt_dropout: float = Field(
        default=0.1, ge=0, le=1, description="Share of crops trained without a prompt; guidance needs it."
    )
    views: int = Field(
        default=256, ge=1, le=65_536, description="Number of crops that are drawn and encoded once, for all steps."
    )
    gradient_checkpointing: bool = Field(default=False, description="Less memory, slower steps.")

    @model_validator(mode="after")
    def _something_is_learned(self) -> PretrainedFit:
        if self.defect_weight == 0 and self.object_weight == 0:
            raise ValueError("defect_weight and object_weight are both 0: nothing would be learned")
        return self


class MemoryRules(BaseModel):
    """How the pipeline is kept small enough for a GPU; pixels stay the same except for rounding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offload: Literal["none", "model", "sequential"] = Field(
        default="none",
        description="model: one part of the pipeline at a time on the GPU; sequential: one layer, very slow. "
        "A CPU needs neither.",
    )
    attention_slicing: bool = Field(
        default=False, description="Attention head by head; not for pipelines with a transformer."
    )
    vae_slicing: bool = Field(default=False, description="The VAE image by image.")
    vae_tiling: bool = Field(default=False, description="The VAE tile by tile: less memory for crops of 1024 pixels.")


class PretrainedParameters(BaseModel):
    """Parameters of `pretrained-inpaint`, version 1. All but `fit` can be changed without fitting again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: PretrainedFit = Field(default=PretrainedFit(), description="The pipeline and its LoRA.")
    prompts: dict[str, Template] = Field(
        default_factory=dict, description="class: prompt, instead of those of the fit."
    )
    negative_prompt: str = Field(default="", description="What guidance leads away from.")
    prompt_noise: float = Field(
        default=0.05,
        ge=0,
        le=2,
        description="Noise on the prompt's embeddings, in their standard deviations; 0 for none.",
    )
    guidance: float = Field(
        default=5.0, ge=0, le=100, description="Classifier-free guidance scale; FLUX fill needs about 30."
    )
    sample_steps: int = Field(default=30, ge=1, le=1000, description="Denoising steps from pure noise.")
    start: Literal["paste", "noise"] = Field(
        default="paste", description="Start from a donor paste under noise, or from pure noise in its mask."
    )
    strength: float = Field(
        default=0.75,
        gt=0,
        lt=1,
        description="Amount of noise on a donor paste: near 0 it stays, near 1 nothing of it does.",
    )
    best_of: int = Field(
        default=1, ge=1, le=64, description="Number of paintings, of which the most visible that passes is kept."
    )
    dilate_px: int = Field(default=4, ge=0, le=64, description="Margin around the donor's mask that may be painted.")
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="Type of the weights while sampling; auto: bf16 or fp16 on a GPU, else fp32."
    )
    memory: MemoryRules = Field(default=MemoryRules(), description="Switches that save memory.")
    paste: DonorPasteParameters = Field(
        default_factory=lambda: DonorPasteParameters.model_validate({}),
        description="Parameters of the donor paste that gives the mask.",
    )

    @model_validator(mode="after")
    def _has_a_step(self) -> PretrainedParameters:
        if self.start == "paste" and int(self.sample_steps * self.strength) < 1:
            raise ValueError("strength times sample_steps is below 1: no step would be taken")
        return self


def prompt_of(class_name: str, fit: PretrainedFit, prompts: Mapping[str, str] | None = None) -> str:
    """The prompt of a class, from `prompts` or else the fit; `metal_contamination` is read as "metal contamination"."""
    template = {**fit.prompts, **(prompts or {})}.get(class_name, fit.prompt)
    return template.format(subject=fit.subject, defect=class_name.replace("_", " ").strip())

"""What a recipe of `pretrained-inpaint` can say; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from carpet_data.learned.pretrained_inpaint import prompts
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.recipe.fit_parameters import FitParameters

__all__ = ["MemoryRules", "PretrainedFit", "PretrainedParameters"]

DEFAULT_PIPELINE = "stable-diffusion-v1-5/stable-diffusion-inpainting"


class PretrainedFit(FitParameters):
    """Which pipeline, and how its LoRA is trained."""

    pipeline: str = Field(
        default=DEFAULT_PIPELINE,
        min_length=1,
        description="Folder of a diffusers pipeline, or its name on the hub; only a name is ever downloaded.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit on the hub; null for its newest.")
    variant: str | None = Field(
        default=None, description="Variant of the weight files, such as fp16; null for the plain ones."
    )
    subject: str = Field(default="a surface", min_length=1, description="What the images show, in words of the prompt.")
    prompt: str = Field(
        default=prompts.TEMPLATE, min_length=1, description="Of every class; {subject} and {defect} are filled in."
    )
    prompts: dict[str, str] = Field(default_factory=dict, description="class: prompt, for classes that need their own.")
    lora_rank: int = Field(
        default=8, ge=0, le=256, description="Of the LoRA; 0 trains nothing, the pipeline is used as it is."
    )
    target_modules: tuple[str, ...] = Field(
        default=("to_q", "to_k", "to_v", "to_out.0"), min_length=1, description="Layers of the UNet that get a LoRA."
    )
    crop_px: int = Field(
        default=512, ge=64, le=1024, multiple_of=64, description="Pixels that the pipeline was made for."
    )
    steps: int = Field(default=400, ge=1, le=1_000_000, description="Optimisation steps of the LoRA.")
    batch_size: int = Field(default=4, ge=1, le=1024, description="Crops a step.")
    learning_rate: float = Field(default=1e-4, gt=0, le=1, description="Largest learning rate; it warms up and decays.")
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the averaged LoRA weights, which sample; 0 for none."
    )
    defect_weight: float = Field(
        default=1.0, ge=0, description="Of the loss inside the mask, with the defect masked out."
    )
    object_weight: float = Field(
        default=0.4, ge=0, description="Of the loss on the whole crop, with random boxes masked out."
    )
    outside_weight: float = Field(
        default=0.3, ge=0, le=1, description="Of ground against defect in the loss on the whole crop."
    )
    prompt_dropout: float = Field(
        default=0.1, ge=0, le=1, description="Share of crops trained without words, for guidance."
    )
    views: int = Field(
        default=256, ge=1, le=65_536, description="Crops drawn and encoded once, from which steps take theirs."
    )
    gradient_checkpointing: bool = Field(default=False, description="Less memory, a slower step.")

    @field_validator("prompt")
    @classmethod
    def _template(cls, value: str) -> str:
        return prompts.checked(value)

    @field_validator("prompts")
    @classmethod
    def _templates(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: prompts.checked(template) for name, template in value.items()}

    @model_validator(mode="after")
    def _something_is_learned(self) -> PretrainedFit:
        if self.defect_weight == 0 and self.object_weight == 0:
            raise ValueError("defect_weight and object_weight are both 0: nothing would be learned")
        return self


class MemoryRules(BaseModel):
    """How the pipeline is kept small enough for a GPU; pixels stay the same but for last bits."""

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
    """What can be set in a recipe. All outside `fit` can be changed without fitting again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: PretrainedFit = Field(default=PretrainedFit(), description="The pipeline and its LoRA.")
    prompts: dict[str, str] = Field(default_factory=dict, description="class: prompt, instead of those of the fit.")
    negative_prompt: str = Field(default="", description="What guidance leads away from.")
    prompt_noise: float = Field(
        default=0.05,
        ge=0,
        le=2,
        description="Noise on the prompt's embeddings, in standard deviations of theirs; 0 for none.",
    )
    guidance: float = Field(
        default=5.0, ge=0, le=100, description="How far the prompt leads; FLUX fill wants about 30."
    )
    sample_steps: int = Field(default=30, ge=1, le=1000, description="Denoising steps from pure noise.")
    start: Literal["paste", "noise"] = Field(
        default="paste", description="Begin with a donor paste under noise, or with pure noise in its mask."
    )
    strength: float = Field(
        default=0.75,
        gt=0,
        lt=1,
        description="How much noise a donor paste gets: near 0 it stays, near 1 nothing of it does.",
    )
    best_of: int = Field(
        default=1, ge=1, le=64, description="Make so many from one draw and keep the most visible that passes."
    )
    dilate_px: int = Field(default=4, ge=0, le=64, description="How far beyond the donor's mask may be painted.")
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="Of the weights while sampling; auto: bf16 or fp16 on a GPU, fp32 elsewhere."
    )
    memory: MemoryRules = Field(default=MemoryRules(), description="Switches that save memory.")
    paste: DonorPasteParameters = Field(
        default_factory=lambda: DonorPasteParameters.model_validate({}),
        description="Of the donor paste that gives the mask.",
    )

    @field_validator("prompts")
    @classmethod
    def _templates(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: prompts.checked(template) for name, template in value.items()}

    @model_validator(mode="after")
    def _has_a_step(self) -> PretrainedParameters:
        if self.start == "paste" and int(self.sample_steps * self.strength) < 1:
            raise ValueError("strength times sample_steps is below 1: no step would be taken")
        return self

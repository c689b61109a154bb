"""Inpainting pipelines of diffusers with random weights, small enough for a test; nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxTransformer2DModel,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

WIDTH = 16
_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Letter by letter: every printable character is a token, inside a word and at its end."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), _BEGIN, _END]
    folder.mkdir(parents=True, exist_ok=True)
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps({word: number for number, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
    )


def _vae(**more: object) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[8] * 4,
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        **more,
    )


def _unet(channels: int, **more: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=more.pop("cross_attention_dim", WIDTH),
        attention_head_dim=4,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **more,
    )


def _schedule() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def save(folder: Path, *, channels: int = 9, seed: int = 0) -> Path:
    """A Stable Diffusion inpainting pipeline."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipe = StableDiffusionInpaintPipeline(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()),
            tokenizer=tokenizer(folder / "tokenizer"),
            unet=_unet(channels),
            scheduler=_schedule(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipe.save_pretrained(folder)
    return folder


def save_xl(folder: Path, *, seed: int = 0) -> Path:
    """An SDXL inpainting pipeline: two text encoders, and sizes beside the time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        words = tokenizer(folder / "tokenizer")
        pipe = StableDiffusionXLInpaintPipeline(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config()),
            text_encoder_2=CLIPTextModelWithProjection(_text_config()),
            tokenizer=words,
            tokenizer_2=words,
            unet=_unet(
                9,
                cross_attention_dim=2 * WIDTH,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=WIDTH + 6 * 8,
            ),
            scheduler=_schedule(),
            add_watermarker=False,
        )
    pipe.save_pretrained(folder)
    return folder


def save_flux(folder: Path, *, seed: int = 0) -> Path:
    """A FLUX fill pipeline: a transformer instead of a UNet."""
    letters = [(chr(code), -3.0) for code in range(33, 127)]
    pieces = Tokenizer(Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *letters], unk_id=2))
    pieces.pre_tokenizer = Metaspace()
    config = T5Config(vocab_size=100, d_model=WIDTH, d_ff=WIDTH, d_kv=8, num_heads=2, num_layers=1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipe = FluxFillPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=_vae(shift_factor=0.1, scaling_factor=0.4, use_quant_conv=False, use_post_quant_conv=False),
            text_encoder=CLIPTextModel(_text_config()),
            tokenizer=tokenizer(folder / "tokenizer"),
            text_encoder_2=T5EncoderModel(config),
            tokenizer_2=T5TokenizerFast(tokenizer_object=pieces),
            transformer=FluxTransformer2DModel(
                patch_size=1,
                # Packed by 2x2: four latents, four of the masked image, and the mask's 8x8 pixels of each.
                in_channels=4 * (4 + 4 + 64),
                out_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=WIDTH,
                pooled_projection_dim=WIDTH,
                axes_dims_rope=[4, 4, 8],
                guidance_embeds=True,
            ),
        )
    pipe.save_pretrained(folder)
    return folder

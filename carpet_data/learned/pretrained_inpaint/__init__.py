"""pretrained-inpaint: any inpainting pipeline of diffusers, with a LoRA trained on defect crops."""

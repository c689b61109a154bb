"""pretrained-inpaint: any inpainting pipeline of diffusers, with a LoRA of the defect crops."""

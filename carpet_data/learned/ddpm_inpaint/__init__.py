"""ddpm-inpaint: a diffusion network repaints a place of the host as a defect."""

"""ddpm-inpaint: a diffusion network repaints part of a host as a defect."""

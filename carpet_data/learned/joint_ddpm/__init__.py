"""joint-ddpm: image and mask are denoised together, whole crops early and patches late."""

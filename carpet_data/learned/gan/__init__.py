"""gan: a few-shot GAN draws a defect and its mask for given ground."""

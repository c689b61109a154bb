"""gan: a few-shot GAN draws a defect and its mask on a given background."""

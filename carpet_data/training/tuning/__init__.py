"""What the fine-tuned models share: scenes, crops, tiles, the training of a run, and its outputs."""

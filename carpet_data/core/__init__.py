"""What every room stands on: images, masks, worker processes, text and colors."""

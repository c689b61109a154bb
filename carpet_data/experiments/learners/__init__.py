"""What an experiment trains under each condition: the whole-image classifier, and the dense head."""

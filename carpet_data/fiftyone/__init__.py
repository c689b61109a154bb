"""The prepared folder in FiftyOne, and choices back."""

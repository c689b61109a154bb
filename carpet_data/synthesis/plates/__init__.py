"""Clean plates: backgrounds made of defect images, and the checks that they pass before use."""

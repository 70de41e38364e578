"""Floor 2: brains decide and never act."""

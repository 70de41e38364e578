"""Brains that think in prose: a model behind an OpenAI-compatible endpoint answers with a checked decision."""

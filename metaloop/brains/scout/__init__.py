"""Scouts: they look for ideas outside, and bring them home as data."""

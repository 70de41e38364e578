"""Brains that are commands: a coding agent works in a git worktree, and what it left there is the decision."""

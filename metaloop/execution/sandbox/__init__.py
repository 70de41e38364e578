"""Changed code is trained behind walls and scored by the harness alone: docs/sandbox.md."""

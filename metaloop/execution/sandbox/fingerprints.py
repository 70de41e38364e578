"""Hashes that say what a score was made by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from metaloop.vocabulary.code import source_digest
from metaloop.vocabulary.errors import EditError

EVALUATOR = (
    "metaloop.execution.sandbox.evaluation", "metaloop.execution.sandbox.training", "metaloop.execution.sandbox.guest",
    "metaloop.execution.sandbox.claims", "nanogpt.prepare", "nanogpt.presets", "nanogpt.knobs",
)  # fmt: skip
"""The modules that make a score of trained weights."""


@lru_cache(maxsize=1)
def evaluator() -> str:
    """16 hex digits over the sources of :data:`EVALUATOR`; never imports torch."""
    digest = hashlib.sha256()
    for name in EVALUATOR:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            digest.update(name.encode() + b"\0" + Path(spec.origin).read_bytes())
    return digest.hexdigest()[:16]


def of_files(code: Mapping[str, str]) -> dict[str, str]:
    """Path to digest of each changed file: that of the configuration's ``file:`` key; of no Python, a plain hash."""
    found = {}
    for path, text in code.items():
        try:
            found[path] = source_digest(path, text)
        except EditError:
            found[path] = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return found

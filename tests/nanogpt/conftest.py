"""Shared by the target's tests: one small corpus, one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nanogpt.prepare import Corpus, load_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The standard library, prepared in a folder of this test session."""
    return load_corpus(cache=tmp_path_factory.mktemp("nanogpt-cache"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bitwise repetition holds for one number of threads; tiny models are fastest with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A local text large enough for all four splits."""
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {n} says {n * n % 9973}\n" for n in range(60000)))
    return path

"""Where text comes from: the standard library of the running Python, local files, or a Hugging Face dataset.

A source knows its documents (as bytes), a fingerprint that changes when they do, and how to turn them into
tokens. `prepare.py` splits and stores them.
"""

from __future__ import annotations

import glob
import hashlib
import platform
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SKIPPED_FOLDERS = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"})
GPT2_TOKENIZER = "gpt2"  # tiktoken's name for the 50257-token vocabulary of GPT-2


class DataError(ValueError):
    """Data that cannot be found or read. The message says what was asked for and what to do."""


@dataclass(frozen=True)
class Source:
    """Documents to train on. `files` are local; `dataset` names a Hugging Face dataset instead.

    `name` never holds a machine's folders, so that one corpus has one manifest on every machine.
    """

    name: str
    fingerprint: str
    files: tuple[Path, ...] = ()
    dataset: str = ""

    def documents(self) -> Iterator[bytes]:
        """Every document, in a fixed order. Raises DataError if one cannot be read."""
        if self.dataset:
            yield from _dataset_documents(self.dataset)
        for path in self.files:
            try:
                yield path.read_bytes()
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror}") from error


def find_source(data: str) -> Source:
    """The source that `data` names: "stdlib", "hf:NAME", or a path or glob. Raises DataError."""
    if data == "stdlib":
        return _stdlib()
    if data.startswith("hf:"):
        return Source(name=data, fingerprint=data, dataset=data.removeprefix("hf:"))
    return _local(data)


def _stdlib() -> Source:
    root = Path(sysconfig.get_paths()["stdlib"])
    found = (p for p in root.rglob("*.py") if not SKIPPED_FOLDERS & set(p.relative_to(root).parts[:-1]))
    files = tuple(sorted(found, key=lambda p: p.relative_to(root).as_posix()))
    if not files:
        raise DataError(f"no Python sources under {root}; pass --data FILES")
    name = f"stdlib of {platform.python_implementation()} {platform.python_version()}"
    return Source(name=name, fingerprint=_fingerprint(name, files), files=files)


def _local(pattern: str) -> Source:
    matches = (Path(match) for match in glob.glob(str(Path(pattern).expanduser()), recursive=True))
    found: set[Path] = set()
    for path in matches:
        found.update(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else found.add(path)
    if not found:
        raise DataError(f"no file matches '{pattern}'; expected stdlib, hf:NAME, or a path or glob of local files")
    files = tuple(sorted(found))
    return Source(name="local files", fingerprint=_fingerprint(str(Path(pattern).resolve()), files), files=files)


def _fingerprint(name: str, files: tuple[Path, ...]) -> str:
    """A hash over path, size and change time of every file: cheap, and enough to notice an edit."""
    digest = hashlib.sha256(name.encode())
    for path in files:
        stat = path.stat()
        digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _dataset_documents(name: str) -> Iterator[bytes]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError("hf: data needs the 'datasets' package: pip install datasets tiktoken") from error
    try:
        rows: Any = load_dataset(name, split="train", streaming=True)
        for row in rows:
            yield str(row["text"]).encode()
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read Hugging Face dataset '{name}': {error}") from error


@dataclass(frozen=True)
class Tokenizer:
    """Bytes to token numbers. `token_bytes[i]` is how many bytes of text token i stands for (0: none)."""

    name: str
    vocab: int
    token_bytes: np.ndarray[Any, np.dtype[np.int64]]
    encoding: Any = None

    def encode(self, document: bytes) -> np.ndarray[Any, Any]:
        """(n,) uint8 for bytes, uint16 for BPE, where an end-of-text token opens each document."""
        if self.encoding is None:
            return np.frombuffer(document, dtype=np.uint8)
        tokens = [self.encoding.eot_token, *self.encoding.encode_ordinary(document.decode("utf-8", "replace"))]
        return np.asarray(tokens, dtype=np.uint16)


def tokenizer_of(source: Source) -> Tokenizer:
    """Bytes for local text, GPT-2's BPE for Hugging Face datasets. Raises DataError if tiktoken is missing."""
    if not source.dataset:
        return Tokenizer("bytes", 256, np.ones(256, dtype=np.int64))
    try:
        import tiktoken
    except ImportError as error:
        raise DataError("hf: data needs the 'tiktoken' package: pip install datasets tiktoken") from error
    encoding = tiktoken.get_encoding(GPT2_TOKENIZER)
    sizes = np.zeros(encoding.n_vocab, dtype=np.int64)
    for token in range(encoding.n_vocab):
        if token != encoding.eot_token:
            sizes[token] = len(encoding.decode_single_token_bytes(token))
    return Tokenizer(GPT2_TOKENIZER, encoding.n_vocab, sizes, encoding)

"""Data and metric: fixed, and never edited by whoever searches for better configurations.

Text is cut into documents of at most `DOCUMENT_BYTES`; the hash of a document's content decides its split, so
equal text is never on both sides. Train is learned from, val is scored by the searcher, and holdout and confirm
are for whoever judges the search. Splits are stored once as flat arrays with a manifest of their hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from nanogpt.sources import DataError, Source, Tokenizer, find_source, tokenizer_of

__all__ = [
    "SPLITS", "Corpus", "DataError", "bits_per_byte", "evaluation_batches", "evaluation_windows", "load_corpus",
    "split_of",
]  # fmt: skip

SPLITS: Final = ("train", "val", "holdout", "confirm")
FORMAT: Final = 1  # raise it when splitting or storage changes, so that old caches are left behind
DOCUMENT_BYTES: Final = 16384
SCORED_SHARE: Final = 0.05  # of all documents, for each of val, holdout and confirm
MOST_DATASET_TOKENS: Final = 1_000_000_000  # of a streamed dataset; beyond this a five-minute training never reads
EVALUATION_ROWS: Final = 64  # windows in one forward pass of the evaluation, at most
EVALUATION_LOGITS: Final = 2**29  # logits in one such pass, at most: 2 GiB in float32
VERIFIED_BYTES: Final = 1 << 28  # caches up to this size have their hashes checked at every load

Tokens = np.ndarray[Any, Any]


def bits_per_byte(nats: float, scored_bytes: float) -> float:
    """The metric: `bpb = nats / (ln 2 x scored_bytes)`.

    `nats` is the summed cross-entropy of the target tokens and `scored_bytes` the bytes of text that those
    tokens stand for, so the score does not depend on the tokenizer. Tokens without text (end of text) count in
    neither sum. Uniform guessing over bytes scores 8. Raises ValueError if nothing was scored.
    """
    if scored_bytes <= 0:
        raise ValueError(f"bits per byte of {scored_bytes} bytes: nothing was scored")
    return nats / (math.log(2) * scored_bytes)


def split_of(document: bytes) -> str:
    """The split of a document, from its content alone."""
    share = int.from_bytes(hashlib.sha256(document).digest()[:8], "big") / 2**64
    place = int(share / SCORED_SHARE)  # 0, 1, 2 are the scored splits
    return SPLITS[place + 1] if place < 3 else "train"


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus. `splits[name]` is a flat array of token numbers; `token_bytes` (V,) are bytes per token.

    `manifest_hash` names the content: equal hashes mean equal tokens in every split.
    """

    name: str
    vocab: int
    token_bytes: np.ndarray[Any, np.dtype[np.int64]] = field(repr=False)
    splits: Mapping[str, Tokens] = field(repr=False)
    manifest_hash: str = ""


def evaluation_windows(tokens: Tokens, sequence: int, count: int) -> Tokens:
    """(n, sequence + 1) tokens, n <= `count`: the same evenly spaced windows at every call.

    Each window scores its last `sequence` tokens. Raises DataError if the split is too short for one window.
    """
    span = sequence + 1
    fitting = len(tokens) // span
    if fitting < 1:
        raise DataError(f"a split has {len(tokens)} tokens, fewer than one window of {span}; give more data")
    starts = (np.arange(min(count, fitting)) * fitting // min(count, fitting)) * span
    return np.asarray(tokens[starts[:, None] + np.arange(span)[None, :]])


def evaluation_batches(windows: Tokens, vocab: int) -> list[Tokens]:
    """The windows, (n, T + 1), in the pieces (rows, T + 1) that one forward pass of an evaluation takes."""
    most = max(1, min(EVALUATION_ROWS, EVALUATION_LOGITS // ((windows.shape[1] - 1) * vocab)))
    return np.array_split(windows, math.ceil(len(windows) / most))


def _cache_folder(cache: Path | None) -> Path:
    if cache is not None:
        return Path(cache)
    named = os.environ.get("NANOGPT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "nanogpt"


def load_corpus(data: str = "stdlib", cache: Path | None = None) -> Corpus:
    """The corpus that `data` names, prepared on first use: "stdlib", a path or glob, or "hf:NAME".

    `cache` defaults to $NANOGPT_CACHE, else ~/.cache/nanogpt. Several processes may prepare the same corpus at
    once; one of them wins and all read its files. Raises DataError.
    """
    source = find_source(data)
    key = hashlib.sha256(f"{FORMAT}|{DOCUMENT_BYTES}|{SCORED_SHARE}|{source.fingerprint}".encode()).hexdigest()[:16]
    folder = _cache_folder(cache) / key
    corpus = _open(folder)
    if corpus is None:
        _build(source, folder)
        corpus = _open(folder)
    if corpus is None:
        raise DataError(f"prepared data in {folder} is damaged; delete that folder and try again")
    return corpus


def _open(folder: Path) -> Corpus | None:
    """The corpus stored in `folder`; None if it is absent, incomplete or not what its manifest says."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        token_bytes = np.load(folder / "token_bytes.npy")
        splits = {name: _open_split(folder, name, manifest) for name in SPLITS}
    except (OSError, ValueError, KeyError):
        return None
    canonical = json.dumps(manifest, sort_keys=True).encode()
    return Corpus(
        name=manifest["source"], vocab=manifest["vocab"], token_bytes=token_bytes, splits=splits,
        manifest_hash=hashlib.sha256(canonical).hexdigest(),
    )  # fmt: skip


def _open_split(folder: Path, name: str, manifest: Mapping[str, Any]) -> Tokens:
    said = manifest["splits"][name]
    tokens: Tokens = np.memmap(folder / f"{name}.bin", dtype=manifest["dtype"], mode="r")
    if len(tokens) != said["tokens"]:
        raise ValueError(f"{name}.bin holds {len(tokens)} tokens, its manifest says {said['tokens']}")
    if tokens.nbytes <= VERIFIED_BYTES and _file_hash(folder / f"{name}.bin") != said["sha256"]:
        raise ValueError(f"{name}.bin differs from its manifest")
    return tokens


def _build(source: Source, folder: Path) -> None:
    """Prepare `source` in a sibling of `folder`, then rename: readers see all of it or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        tokenizer = tokenizer_of(source)
        counts = _write_splits(source, tokenizer, work)
        np.save(work / "token_bytes.npy", tokenizer.token_bytes)
        (work / "manifest.json").write_text(json.dumps(_manifest(source, tokenizer, work, counts), indent=1) + "\n")
        if folder.exists() and _open(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            work.rename(folder)
        except OSError:
            if _open(folder) is None:  # not merely another process that was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_splits(source: Source, tokenizer: Tokenizer, work: Path) -> dict[str, int]:
    """Write NAME.bin per split; returns its tokens. A document seen before is dropped."""
    counts = dict.fromkeys(SPLITS, 0)
    seen: set[bytes] = set()
    files = {name: (work / f"{name}.bin").open("wb") for name in SPLITS}
    try:
        for document in _documents(source):
            digest = hashlib.sha256(document).digest()
            if digest in seen:
                continue
            seen.add(digest)
            tokens = tokenizer.encode(document)
            name = split_of(document)
            files[name].write(tokens.tobytes())
            counts[name] += len(tokens)
            if source.dataset and sum(counts.values()) >= MOST_DATASET_TOKENS:
                break
    finally:
        for file in files.values():
            file.close()
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        raise DataError(f"too little data: nothing for {', '.join(empty)}; give at least a few hundred kilobytes")
    return counts


def _documents(source: Source) -> Iterator[bytes]:
    """The source's documents, long ones cut at the last line end before `DOCUMENT_BYTES`."""
    for text in source.documents():
        start = 0
        while start < len(text):
            end = min(len(text), start + DOCUMENT_BYTES)
            if end < len(text):
                end = text.rfind(b"\n", start, end) + 1 or end
            yield text[start:end]
            start = end


def _manifest(source: Source, tokenizer: Tokenizer, work: Path, counts: Mapping[str, int]) -> dict[str, Any]:
    splits = {name: {"tokens": counts[name], "sha256": _file_hash(work / f"{name}.bin")} for name in SPLITS}
    dtype = "uint8" if tokenizer.vocab <= 256 else "uint16"
    return {"format": FORMAT, "source": source.name, "tokenizer": tokenizer.name, "vocab": tokenizer.vocab,
            "dtype": dtype, "document_bytes": DOCUMENT_BYTES, "splits": splits}  # fmt: skip


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

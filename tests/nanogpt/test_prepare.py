"""Data: splits that never meet, caches that survive races and damage, and the metric by hand."""

from __future__ import annotations

import json
import math
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from nanogpt.prepare import (
    SPLITS,
    Corpus,
    DataError,
    bits_per_byte,
    evaluation_windows,
    load_corpus,
    split_of,
)


def test_metric_by_hand() -> None:
    # Three tokens with probabilities 1/2, 1/4, 1/8 are 1 + 2 + 3 = 6 bits; over 4 bytes that is 1.5 bits per byte.
    nats = -(math.log(1 / 2) + math.log(1 / 4) + math.log(1 / 8))
    assert bits_per_byte(nats, 4) == pytest.approx(1.5)
    assert bits_per_byte(math.log(256) * 10, 10) == pytest.approx(8)
    with pytest.raises(ValueError, match="nothing was scored"):
        bits_per_byte(1.0, 0)


def test_splits_are_disjoint_and_sized(corpus: Corpus) -> None:
    total = sum(len(tokens) for tokens in corpus.splits.values())
    assert set(corpus.splits) == set(SPLITS)
    assert len(corpus.splits["train"]) > 0.75 * total
    assert all(len(corpus.splits[name]) > 0.02 * total for name in SPLITS)


def test_a_document_is_in_the_split_of_its_content(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    texts = [f"# file {n}\n".encode() * 200 for n in range(300)]
    for n, text in enumerate([*texts, *texts]):  # every text twice
        (files / f"{n:03}.txt").write_bytes(text)
    made = load_corpus(str(files), tmp_path / "cache")
    for name in SPLITS:
        expected = b"".join(text for text in texts if split_of(text) == name)
        assert made.splits[name].tobytes() == expected


def test_same_text_same_manifest_elsewhere(tmp_path: Path, text_file: Path) -> None:
    other = tmp_path / "elsewhere.txt"
    other.write_bytes(text_file.read_bytes())
    first, second = (load_corpus(str(path), tmp_path / "cache") for path in (text_file, other))
    assert first.manifest_hash == second.manifest_hash
    other.write_text(other.read_text() + "one more line\n")
    assert load_corpus(str(other), tmp_path / "cache").manifest_hash != first.manifest_hash


@pytest.mark.parametrize("damage", ["truncate", "flip", "manifest"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, text_file: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    before = load_corpus(str(text_file), cache).manifest_hash
    stored = next(cache.glob("*/train.bin"))
    content = stored.read_bytes()
    if damage == "truncate":
        stored.write_bytes(content[:-5])
    elif damage == "flip":
        stored.write_bytes(b"\x00" + content[1:])
    else:
        (stored.parent / "manifest.json").write_text(json.dumps({"format": 1}))
    after = load_corpus(str(text_file), cache)
    assert after.manifest_hash == before
    assert after.splits["train"].tobytes() == content


def _prepare(path: str, cache: Path) -> str:
    return load_corpus(path, cache).manifest_hash


def test_many_processes_prepare_at_once(tmp_path: Path, text_file: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        hashes = pool.starmap(_prepare, [(str(text_file), tmp_path / "cache")] * 3)
    assert len(set(hashes)) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1  # no leftovers


def test_cache_folder_from_the_environment(tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOGPT_CACHE", str(tmp_path / "named"))
    load_corpus(str(text_file))
    assert list((tmp_path / "named").glob("*/manifest.json"))


def test_a_corpus_travels_to_another_process(tmp_path: Path, text_file: Path) -> None:
    made = load_corpus(str(text_file), tmp_path)
    copy = pickle.loads(pickle.dumps(made))
    assert copy.manifest_hash == made.manifest_hash
    assert (copy.splits["val"] == made.splits["val"]).all()


def test_too_little_or_missing_data(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("hello")
    with pytest.raises(DataError, match="too little data"):
        load_corpus(str(tmp_path / "small.txt"), tmp_path / "cache")
    with pytest.raises(DataError, match="no file matches"):
        load_corpus(str(tmp_path / "absent*"), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/manifest.json"))


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    with pytest.raises(DataError, match="pip install datasets tiktoken"):
        load_corpus("hf:some/dataset", tmp_path)


def test_evaluation_windows_are_fixed_and_spread() -> None:
    tokens = np.arange(1000)
    windows = evaluation_windows(tokens, sequence=9, count=20)
    assert windows.shape == (20, 10)
    assert (windows == evaluation_windows(tokens, sequence=9, count=20)).all()
    assert (np.diff(windows[:, 0]) == 50).all()
    assert evaluation_windows(tokens, sequence=9, count=10**6).shape == (100, 10)
    with pytest.raises(DataError, match="fewer than one window"):
        evaluation_windows(tokens[:9], sequence=9, count=1)

"""Named seed streams: all randomness of metaloop comes from here.

A stream is a path of names under one root seed, hashed with BLAKE2b, so that adding a consumer never shifts
the numbers another consumer draws (the problem of one shared generator), and a role actor that is recreated
after a crash draws the same numbers for the same decision.
"""

from __future__ import annotations

import random
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

import numpy as np

TRAINING_SEED_BITS = 31
"""Seeds handed to a trainer fit a signed 32-bit integer, the narrowest seed type among common frameworks."""


def derive(root: int, *path: str | int) -> int:
    """A 64-bit seed for the stream ``path`` under ``root``; equal arguments give equal seeds on every machine."""
    text = "\x1f".join([str(root), *map(str, path)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


_QUANTILE = NormalDist().inv_cdf
_OPEN = 1.0 - 2.0**-52
"""Keeps a draw from [0, 1) off both ends, where the normal distribution has no quantile."""


def normal(rng: random.Random) -> float:
    """A standard normal draw by inversion: where many are needed, ``gauss`` costs over twice as much."""
    return _QUANTILE(0.5 + (rng.random() - 0.5) * _OPEN)


def python_stream(root: int, *path: str | int) -> random.Random:
    """A standard-library generator for the stream ``path``: cheap to make, so one per decision is fine."""
    return random.Random(derive(root, *path))


class Streams:
    """The streams ``(*path, number)`` under ``root``, one at a time: one generator seeded anew for each number, which
    costs two thirds of a new one. Numbers drawn are those of :func:`python_stream`."""

    def __init__(self, root: int, *path: str | int) -> None:
        self._hash = blake2b("\x1f".join([str(root), *map(str, path), ""]).encode(), digest_size=8)
        self._rng = random.Random(0)

    def at(self, number: int) -> random.Random:
        """The generator of this number, good until the next one is asked for."""
        hashed = self._hash.copy()
        hashed.update(b"%d" % number)
        self._rng.seed(int.from_bytes(hashed.digest(), "big"))
        return self._rng


def numpy_stream(root: int, *path: str | int) -> np.random.Generator:
    """A NumPy generator for the stream ``path``."""
    return np.random.default_rng(derive(root, *path))


@lru_cache(maxsize=1024)
def training_seed(root: int, repeat: int) -> int:
    """The seed of repeat ``repeat`` inside an org run: the same for every configuration (common random numbers)."""
    return derive(root, "train", repeat) >> (64 - TRAINING_SEED_BITS)


def confirmation_seed(root: int, pair: int) -> int:
    """The seed of confirmation pair ``pair``: a stream no member of an organization can name (invariant 8)."""
    return derive(root, "confirm", pair) >> (64 - TRAINING_SEED_BITS)

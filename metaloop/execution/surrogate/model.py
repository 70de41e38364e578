"""A fitted surrogate: plain arrays in one ``.npz``, and predictions from them with NumPy alone.

The file holds float32 and is computed with in float64, one configuration at a time, so that a prediction does not
depend on what else is asked for; results are rounded, so that machines whose vector units add in another order agree.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from metaloop.vocabulary.errors import TrainerError

FORMAT = 2
CURVE = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Budget fractions at which a training reads its curve (nanogpt/train.py)."""
SCORES = len(CURVE) + 1
"""Outputs of the noise model: the points of the curve, then the final score on ``val``."""
OUTPUTS = (*(f"curve_{f:g}" for f in CURVE), "val", "holdout", "confirm", "train_s", "split_s", "spread", "failure")
"""Regressed columns: log excess bpb (6); ``holdout`` and ``confirm`` minus ``val`` in bpb; log seconds of training
and of scoring one split; log variance of the regression at ``val``; log odds of a failure."""
VAL, HOLDOUT, CONFIRM, TRAIN_S, SPLIT_S, SPREAD, FAILURE = range(SCORES - 1, len(OUTPUTS))
DECIMALS = 6

Array = npt.NDArray[np.float64]


class Meta(msgspec.Struct, frozen=True):
    """What a model is of: the target, its knobs, the recording, and how it was fitted."""

    preset: str
    data: str
    vocab: int
    space: str
    features: tuple[str, ...]
    target: dict[str, str]
    recording: str
    rows: int
    floor: float
    """bpb that no configuration reaches; scores are learned as log(bpb - floor)."""
    uniform: float
    """bpb of guessing evenly: a training that ends above it has failed."""
    format: int = FORMAT


class Prediction(NamedTuple):
    """Of one configuration, all in the regression's own scale; see :data:`OUTPUTS`.

    ``noise`` are the standard deviations over training seeds of the six scores, ``spread`` the regression's own
    uncertainty at ``val``, both in log excess bpb; ``failure`` is a probability.
    """

    scores: tuple[float, ...]
    noise: tuple[float, ...]
    holdout: float
    confirm: float
    train_s: float
    split_s: float
    spread: float
    failure: float


ARRAYS: Mapping[str, int] = {
    "center": 1, "scale": 1, "rotation": 2, "points": 2, "kernel": 1, "weights": 2, "offset": 1,
    "noise_weights": 2, "noise_range": 1, "noise_factor": 2, "seed_share": 1, "own_noise": 1, "curve_lag": 1,
    "failed_at": 1,
}  # fmt: skip
"""Arrays of a model file and their dimensions. With d features, q kept directions, m points, k outputs:

``center`` (d), ``scale`` (d): standardization, clipped at :data:`CLIP`; ``rotation`` (d, q): to kernel inputs;
``points`` (m, q); ``kernel`` (2): share and width of the wide part, a power of two; ``weights`` (m, k); ``offset`` (k);
``noise_weights`` (b, 6): log standard deviations on :func:`noise_basis`, clipped to ``noise_range`` (2);
``noise_factor`` (6, 6): Cholesky factor of the scores' noise correlation; ``seed_share`` (1): the share of the noise
variance that all configurations on one seed have in common; ``own_noise`` (4): standard deviations of holdout - val
and confirm - val (bpb), of log training and log scoring seconds; ``curve_lag`` (5): share of the training seconds at
each point of the curve, less its budget fraction; ``failed_at`` (r): evenly spaced quantiles of the budget fraction
at which failures were noticed."""
CLIP = 4.0


class Model:
    """Predicts. Make one with :func:`load` or :func:`metaloop.execution.surrogate.fit.fit_surrogate`."""

    def __init__(self, meta: Meta, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.meta = meta
        self.arrays = {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in ARRAYS}
        of = {name: array.astype(np.float64) for name, array in self.arrays.items()}
        self._center, self._inverse = of["center"], 1 / of["scale"]
        # Distances come scaled by the square root of 5, as the kernel wants them.
        self._rotation = np.ascontiguousarray(math.sqrt(5.0) * of["rotation"].T)
        points = math.sqrt(5.0) * of["points"]
        self._twice, self._lengths = np.ascontiguousarray(-2.0 * points), (points**2).sum(1)
        self._share, self._wide = float(of["kernel"][0]), float(of["kernel"][1])
        self._squarings = round(math.log2(self._wide))
        self._weights, self._offset = np.ascontiguousarray(of["weights"].T), of["offset"]
        self._noise_weights: list[list[float]] = of["noise_weights"].T.tolist()
        self._noise_range = (float(of["noise_range"][0]), float(of["noise_range"][1]))
        self.noise_factor = [[float(x) for x in row[: k + 1]] for k, row in enumerate(of["noise_factor"])]
        """Rows of a lower triangle: each as long as its place."""
        self.seed_share = float(of["seed_share"][0])
        self.own_noise = [float(x) for x in of["own_noise"]]
        self.curve_lag = [float(x) for x in of["curve_lag"]]
        self.failed_at = [float(x) for x in of["failed_at"]]

    def predict(self, features: list[float]) -> Prediction:
        """What one configuration, read by :class:`metaloop.execution.surrogate.features.Features`, comes to."""
        out = self._outputs(np.array(features))
        scores, odds = tuple(out[:SCORES]), out[FAILURE]
        low, high = self._noise_range
        one, level, square, late, risk = noise_basis(scores, odds)
        noise = [
            math.exp(min(high, max(low, a * one + b * level + c * square + d * late + e * risk)))
            for a, b, c, d, e in self._noise_weights
        ]
        return Prediction(
            scores,
            tuple(noise),
            out[HOLDOUT],
            out[CONFIRM],
            math.exp(min(12.0, out[TRAIN_S])),
            math.exp(min(12.0, out[SPLIT_S])),
            math.exp(0.5 * min(4.0, out[SPREAD])),
            1 / (1 + math.exp(-min(30.0, max(-30.0, odds)))),
        )

    def _outputs(self, z: Array) -> list[float]:
        """The regressed columns at unstandardized features ``z`` (d), which it overwrites."""
        z -= self._center
        z *= self._inverse
        np.minimum(z, CLIP, out=z)
        np.maximum(z, -CLIP, out=z)
        u = self._rotation @ z
        squared = self._twice @ u
        squared += self._lengths
        squared += u @ u
        values: list[float] = (self._weights @ self._kernel(squared) + self._offset).tolist()
        return values

    def _kernel(self, squared: Array) -> Array:
        """Covariances at squared scaled distances: two Matern-5/2, (1 + r + r^2 / 3) exp(-r), from one exponential.

        The wide one is 2^n times as wide, so the narrow one's exponential is the wide one's, squared n times: exact
        to a few units of the last place, and a third of the time.
        """
        np.maximum(squared, 1e-12, out=squared)
        r = np.sqrt(squared)
        decay = np.exp(r * (-1 / self._wide))
        wide = squared * (self._share / 3 / self._wide**2)
        wide += r * (self._share / self._wide)
        wide += self._share
        wide *= decay
        for _ in range(self._squarings):
            decay *= decay
        squared *= 1 / 3
        squared += r
        squared += 1
        squared *= decay
        squared *= 1 - self._share
        squared += wide
        return squared

    def content(self) -> bytes:
        """The model file. Equal models give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in (
                *self.arrays.items(),
                ("meta", np.frombuffer(msgspec.json.encode(self.meta), np.uint8)),
            ):
                part = io.BytesIO()
                np.lib.format.write_array(part, np.asarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue(), zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    def digest(self) -> str:
        """Identity: 16 hex digits of the SHA-256 of meta and arrays."""
        parts = [msgspec.json.encode(self.meta), *(self.arrays[name].tobytes() for name in ARRAYS)]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content())


def noise_basis(scores: tuple[float, ...], failure: float) -> tuple[float, ...]:
    """What the noise depends on, of bounded size: level, level squared, late progress, log odds of a failure."""
    level = scores[-1]
    late = min(1.0, max(-1.0, scores[2] - level))
    return 1.0, level, level * level, late, min(6.0, max(-8.0, failure)) * 0.1


def load(path: Path) -> Model:
    """Read a model file.

    Raises:
        TrainerError: missing, damaged or of another format; says how to mend it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = msgspec.json.decode(archive["meta"].tobytes(), type=Meta)
            arrays = {name: archive[name] for name in ARRAYS}
    except FileNotFoundError:
        raise TrainerError(f"no surrogate model at {path}. Name the .npz that a calibration wrote.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise TrainerError(f"{path} is not a surrogate model ({error}). Calibrate again, or use stdlib.") from None
    wrong = [name for name, dimensions in ARRAYS.items() if arrays[name].ndim != dimensions]
    if wrong or meta.format != FORMAT:
        raise TrainerError(f"{path} is a surrogate model of another version. Calibrate again, or use stdlib.")
    return Model(meta, arrays)

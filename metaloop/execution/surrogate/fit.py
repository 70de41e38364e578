"""Fitting a surrogate to recorded trainings: Gaussian-process regression on shared inducing points.

Everything is deterministic: equal rows and settings give equal models (for one number of torch threads, which is the
caller's to set). Takes about a minute of one core for each thousand of :attr:`Settings.subset`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metaloop.execution.nanogpt_trainer import knobs
from metaloop.execution.recording.design import Recorded, draw_batch
from metaloop.execution.recording.table import rows_digest
from metaloop.execution.surrogate import gaussian
from metaloop.execution.surrogate.data import TARGETS, Array, Prepared, prepare
from metaloop.execution.surrogate.features import Features
from metaloop.execution.surrogate.model import CLIP, OUTPUTS, SCORES, Meta, Model
from metaloop.execution.surrogate.noise import basis_of, fit_noise, seed_share
from metaloop.vocabulary.space import Space

VAL = SCORES - 1
KERNEL_OUTPUTS = (3, 4, 5)
"""The scores whose likelihood picks the kernel: late curve and final; the early curve would pull it elsewhere."""
FAILED_QUANTILES = 33
FRESH_BATCHES = 16
"""Batches of fresh configurations at which the regression's own uncertainty is computed, to be regressed."""
SPREAD_FACTORS = tuple(0.2 * 1.05**i for i in range(60))
"""Tried for the regression's own standard deviation: 0.2 to 3.6."""
FOUR_IN_FIVE = 1.2816**2
"""The square of a standard normal variable is below this four times in five."""
FAILURE_SIGNAL = 4.0
"""Prior variance of the log odds of a failure: 0.3, 1, 4 and 25 were tried, 4 had the best Brier score."""
LEAST_SPREAD = 1e-6
"""Standard deviation that an output counts as having at least, so that a constant one can be standardized."""
MOST_SQUARINGS = 6
"""The wide part of the kernel is at most 2^6 times as wide as the other."""
HETERO = (0.3, 4.0)
"""Least and largest noise variance of a training relative to the mean, where trainings are weighed by their noise."""


class Settings(msgspec.Struct, frozen=True):
    """How much to spend. ``subset`` trainings pick the kernel in ``steps`` steps; ``points`` inducing points and
    ``directions`` of the feature space set what a prediction costs."""

    subset: int = 1500
    steps: int = 60
    points: int = 1500
    directions: int = 48
    seed: int = 0


class Source(msgspec.Struct, frozen=True):
    """What was recorded: preset, tokens in the corpus's vocabulary, bpb of guessing evenly, the target's identity."""

    preset: str
    vocab: int = 256
    uniform: float = 8.0
    target: dict[str, str] = {}


@dataclass(frozen=True)
class _Inputs:
    """Standardization and rotation, as in the model file."""

    center: Array
    scale: Array
    rotation: Array

    def __call__(self, x: Array) -> Tensor:
        return torch.from_numpy(_standard(x, self.center, self.scale) @ self.rotation)


def _standard(x: Array, center: Array, scale: Array) -> Array:
    clipped: Array = np.clip((x - center) / scale, -CLIP, CLIP)
    return clipped


def fit_surrogate(
    rows: Sequence[Recorded], source: Source, settings: Settings | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Model:  # fmt: skip
    """A model of ``rows``. ``say`` hears what is being done.

    Raises:
        TrainerError: too few trainings, or trainings of another preset or corpus than ``source`` says.
    """
    features = Features(Space(knobs()), source.preset, source.vocab)
    prepared = prepare(rows, features)
    meta = meta_of(rows, source, features, prepared)
    return fit_prepared(prepared, meta, fresh_features(features, rows), settings or Settings(), say)


def meta_of(rows: Sequence[Recorded], source: Source, features: Features, prepared: Prepared) -> Meta:
    """What a model of ``rows`` says of itself."""
    return Meta(
        preset=source.preset,
        data=source.target.get("data", ""),
        vocab=source.vocab,
        space=features.space.digest(),
        features=features.names,
        target=source.target,
        recording=rows_digest(rows),
        rows=len(prepared.x),
        floor=prepared.floor,
        uniform=source.uniform,
    )


def fresh_features(features: Features, rows: Sequence[Recorded]) -> Array:
    """Features of configurations drawn as the recording's were, from another seed."""
    vectors = []
    for number in range(FRESH_BATCHES):
        for _, _, request in draw_batch(features.space, 1, number, rows):
            full = features.whole(request.config)
            vectors.append(features.vector(full, features.sizes(full)))
    return np.array(vectors)


def fit_prepared(
    prepared: Prepared, meta: Meta, fresh: Array, settings: Settings, say: Callable[[str], None] = lambda _: None
) -> Model:
    """:func:`fit_surrogate` from arrays; ``fresh`` (n, d) are features where the own uncertainty is computed."""
    say("learning the kernel")
    inputs = _learn_inputs(prepared, settings)
    x, kernel = inputs.tensors(prepared.x), inputs.kernel
    say("projecting on inducing points")
    projection = gaussian.project(kernel, x[gaussian.spread_points(kernel, x, settings.points)])
    return _Fit(prepared, inputs, x, projection, settings).model(meta, fresh)


class _Learned(msgspec.Struct, frozen=True):
    inputs: _Inputs
    kernel: gaussian.Kernel

    def tensors(self, x: Array) -> Tensor:
        return self.inputs(x)


def _learn_inputs(prepared: Prepared, settings: Settings) -> _Learned:
    """Standardize, learn length scales, and rotate to the directions in which configurations differ most."""
    center, scale = prepared.x.mean(0), prepared.x.std(0) + 1e-6
    z = _standard(prepared.x, center, scale)
    scored = np.flatnonzero(np.isfinite(prepared.y[:, VAL]))
    picked = np.random.default_rng(settings.seed).permutation(scored)[: settings.subset]
    y = torch.from_numpy(prepared.y[picked][:, KERNEL_OUTPUTS])
    y = (y - y.mean(0)) / y.std(0)
    kernel = gaussian.learn_kernel(torch.from_numpy(z[picked]), y, settings.steps)
    scaled = z / kernel.lengths.numpy()
    _, _, directions = np.linalg.svd(scaled - scaled.mean(0), full_matrices=False)
    rotation = directions[: settings.directions].T / kernel.lengths.numpy()[:, None]
    unit = gaussian.Kernel(torch.ones(rotation.shape[1], dtype=torch.float64), kernel.share, _power_of_two(kernel.wide))
    return _Learned(_Inputs(center, scale, rotation), unit)


def _power_of_two(wide: Tensor) -> Tensor:
    """The nearest power of two: the likelihood hardly minds, and a prediction then needs one exponential, not two."""
    return 2.0 ** wide.log2().round().clamp(1, MOST_SQUARINGS)


@dataclass(frozen=True)
class _Regressed:
    """One output's fit: the rows it was there for, its standardized values, their noise (as a share of the signal),
    and the standard deviation that undoes the standardization."""

    there: npt.NDArray[np.int64]
    standard: Tensor
    noise: Tensor
    posterior: gaussian.Posterior
    scale: float


class _Fit:
    """The second half of a fit: every output on one projection."""

    def __init__(
        self, prepared: Prepared, learned: _Learned, x: Tensor, projection: gaussian.Projection, settings: Settings
    ) -> None:
        self.data, self.learned, self.x, self.projection, self.settings = prepared, learned, x, projection, settings
        self.basis = projection.basis(x)
        self.whitened = np.zeros((self.basis.shape[1], len(OUTPUTS)))
        self.offset = np.zeros(len(OUTPUTS))
        self._spectra: dict[bytes, tuple[Tensor, Tensor]] = {}

    def model(self, meta: Meta, fresh: Array) -> Model:
        self._failures()
        for k in range(TARGETS):
            self._regress(k, None)
        noise = fit_noise(self.data.y[:, :SCORES], self.data.group, self._noise_basis())
        sd = np.exp(np.clip(self._noise_basis() @ noise.weights, *noise.range))
        fits = [self._regress(k, sd[:, k] ** 2) for k in range(SCORES)]
        self._own_uncertainty(fits[VAL], sd[:, VAL], fresh)
        residuals = (self.data.y[:, VAL] - self._fitted()[:, VAL]) / sd[:, VAL]
        scales = self._own_noise()
        arrays = {
            "center": self.learned.inputs.center,
            "scale": self.learned.inputs.scale,
            "rotation": self.learned.inputs.rotation,
            "points": self.projection.z.numpy(),
            "kernel": np.array([float(self.learned.kernel.share), float(self.learned.kernel.wide)]),
            "weights": self.projection.weights(torch.from_numpy(self.whitened)).numpy(),
            "offset": self.offset,
            "noise_weights": noise.weights,
            "noise_range": noise.range,
            "noise_factor": noise.factor,
            "seed_share": np.array([seed_share(residuals, self.data.seed, self.data.group)]),
            "own_noise": scales,
            "curve_lag": np.median(self.data.lag, 0),
            "failed_at": _failed_quantiles(self.data.failed_at),
        }
        return Model(meta, arrays)

    def _fitted(self) -> Array:
        fitted: Array = self.basis.numpy() @ self.whitened + self.offset
        return fitted

    def _noise_basis(self) -> Array:
        fitted = self._fitted()
        return basis_of(fitted[:, :SCORES], fitted[:, -1])

    def _regress(self, k: int, variance: Array | None) -> _Regressed:
        """Fit output ``k``; ``variance`` (n,) of its noise, up to a factor."""
        there = np.flatnonzero(np.isfinite(self.data.y[:, k]))
        y = self.data.y[there, k]
        mean, scale = float(y.mean()), max(float(y.std()), LEAST_SPREAD)
        standard = torch.from_numpy((y - mean) / scale)
        rows = torch.from_numpy(there)
        ratio, signal = self._noise_ratio(there, standard)
        relative = np.ones(len(y))
        if variance is not None:
            relative = np.clip(variance[there] / np.median(variance[there]), *HETERO)
        noise = torch.from_numpy(ratio * relative)
        posterior = gaussian.regress(self.basis[rows], standard, noise, signal)
        self.whitened[:, k], self.offset[k] = posterior.mean.numpy() * scale, mean
        return _Regressed(there, standard, noise, posterior, scale)

    def _noise_ratio(self, there: npt.NDArray[np.int64], standard: Tensor) -> tuple[float, float]:
        """On a subset of the scored trainings, the same for most outputs, since its spectrum is the dear part."""
        places = np.flatnonzero(np.isfinite(self.data.y[there, VAL]))
        some = np.random.default_rng(self.settings.seed).permutation(places)[: self.settings.subset]
        name = there[some].tobytes()
        if name not in self._spectra:
            self._spectra[name] = gaussian.spectrum_of(self.learned.kernel, self.x[torch.from_numpy(there[some])])
        return gaussian.noise_ratio(*self._spectra[name], standard[torch.from_numpy(some)])

    def _failures(self) -> None:
        known = np.isfinite(self.data.failed)
        if self.data.failed[known].sum() < 3:
            self.offset[-1] = np.log(1e-3)
            return
        labels = torch.from_numpy(self.data.failed[known])
        weights, intercept = gaussian.classify(
            self.basis[torch.from_numpy(np.flatnonzero(known))], labels, FAILURE_SIGNAL
        )
        self.whitened[:, -1], self.offset[-1] = weights.numpy(), intercept

    def _own_uncertainty(self, fit: _Regressed, noise_sd: Array, fresh: Array) -> None:
        """Regress the log posterior variance at ``val``, computed at fresh configurations, calibrated on the old."""
        basis = self.projection.basis(self.learned.tensors(fresh))
        log_variance = (fit.posterior.variance(basis) * fit.scale**2).clamp_min(1e-10).log()
        mean = log_variance.mean()
        noise = torch.full((len(basis),), 0.02, dtype=basis.dtype)
        fitted = gaussian.regress(basis, log_variance - mean, noise, 1.0)
        self.whitened[:, TARGETS] = fitted.mean.numpy()
        self.offset[TARGETS] = float(mean) + 2 * np.log(self._spread_factor(fit, noise_sd))

    def _spread_factor(self, fit: _Regressed, noise_sd: Array) -> float:
        """What the posterior's standard deviation must be multiplied by, so that four in five residuals of
        configurations trained once, each predicted without itself, are as small as noise and posterior together say.

        A quantile, not a variance: org runs visit places that differ in little, so most residuals are small and a few
        are not, and a variance that fits the few makes intervals of 50 % hold 73 %.
        """
        basis = self.basis[torch.from_numpy(fit.there)]
        residuals, variances = gaussian.leave_one_out(fit.posterior, basis, fit.standard, fit.noise)
        counts = np.bincount(self.data.group)
        alone = counts[self.data.group[fit.there]] == 1
        squares = (residuals.numpy()[alone] * fit.scale) ** 2
        own, aleatoric = variances.numpy()[alone] * fit.scale**2, noise_sd[fit.there][alone] ** 2
        sizes = [np.quantile(squares / (aleatoric + f * f * own), 0.8) for f in SPREAD_FACTORS]
        return next(
            (f for f, size in zip(SPREAD_FACTORS, sizes, strict=True) if size <= FOUR_IN_FIVE), SPREAD_FACTORS[-1]
        )

    def _own_noise(self) -> Array:
        """Robust residual standard deviations: 1.4826 times the median absolute one (Hampel 1974)."""
        residuals = self.data.y[:, SCORES:TARGETS] - self._fitted()[:, SCORES:TARGETS]
        scales: Array = 1.4826 * np.nanmedian(np.abs(residuals), 0)
        return scales


def _failed_quantiles(failed_at: Array) -> Array:
    if len(failed_at) < 3:
        return np.linspace(0.1, 1.0, FAILED_QUANTILES)
    quantiles: Array = np.quantile(failed_at, np.linspace(0, 1, FAILED_QUANTILES))
    return quantiles

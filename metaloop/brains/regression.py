"""A Gaussian process on whole configurations that learns which knobs matter, cheap enough for every decision.

The function is a sum over knobs of a parabola (or of one level per choice), plus a smooth rest in which knobs
interact: Bayesian linear regression and a squared exponential kernel on the same scaled features (Rasmussen and
Williams 2006, chapters 2 and 4). Each knob has its own prior variance, which an EM step fits to the data (automatic
relevance determination: MacKay 1992; Tipping 2001, equation 16), drawn to the common one, as a few dozen trainings say
little about forty knobs. All outputs share kernel and relevance, so a second output costs nothing.
"""

from __future__ import annotations

import math

import numpy as np

from metaloop.brains.encoding import Array, Encoding

ADDITIVE, SMOOTH = 0.5, 0.5
"""Prior variance of the sum over knobs and of the smooth rest, in units of the targets' variance."""
ROUNDS = 2
"""EM steps; more of them overfit a few dozen trainings."""
STRENGTH = 2.0
"""Features that the common variance counts for, against a knob's own."""
LENGTH = 0.7
"""Length scale of the smooth rest, in units of the distance between two rows drawn evenly."""


class Regression:
    """The posterior after targets (n, k) at rows (n, knobs); ``noise`` (n,) is each row's variance in units of the
    targets' own.

    Relevance is learned from the first target. O(n^3) to make, O(n (n + p)) for each row asked for.
    """

    def __init__(self, encoding: Encoding, rows: Array, targets: Array, noise: Array) -> None:
        self._encoding = encoding
        self._features = encoding.features(rows)
        self._center, self.scale = targets.mean(0), targets.std(0) + 1e-9
        self._targets = (targets - self._center) / self.scale
        self._noise = noise
        self._prior = ADDITIVE / encoding.size
        self._relevance = np.full(encoding.size, self._prior)
        self._fit()
        for _ in range(ROUNDS):
            self._weigh()
            self._fit()

    def believing(self, rows: Array, noise: float) -> Regression:
        """The same after ``rows`` came to just what is expected of them (the kriging believer: Ginsbourger, Le Riche
        and Carraro 2010), so that what is on its way is not asked for twice."""
        believer = object.__new__(Regression)
        believer.__dict__.update(self.__dict__)
        mean, _ = self.predict(rows)
        believer._features = np.vstack([self._features, self._encoding.features(rows)])
        believer._targets = np.vstack([self._targets, (mean - self._center) / self.scale])
        believer._noise = np.concatenate([self._noise, np.full(len(rows), noise)])
        believer._fit()
        return believer

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m, k) of all targets, and the standard deviation (m,) of the first one's mean."""
        features = self._encoding.features(rows) * self._root
        product = features @ self._scaled.T
        lengths = (features * features).sum(1)
        kernel = product + self._rest(lengths[:, None] + self._lengths - 2.0 * product)
        explained = kernel @ self._inverse.T
        variance = lengths + SMOOTH - (explained * explained).sum(1)
        mean: Array = kernel @ self._weights * self.scale + self._center
        spread: Array = np.sqrt(np.maximum(variance, 1e-9)) * self.scale[0]
        return mean, spread

    def _fit(self) -> None:
        per_column = self._relevance / self._encoding.columns
        self._column = per_column[self._encoding.owner]
        self._root = np.sqrt(self._column)
        self._width = 2.0 * LENGTH**2 * 2.0 * float(self._relevance.sum())
        self._scaled = self._features * self._root
        product = self._scaled @ self._scaled.T
        self._lengths = np.diag(product).copy()
        kernel = product + self._rest(self._lengths[:, None] + self._lengths - 2.0 * product)
        kernel[np.diag_indices_from(kernel)] += self._noise
        self._inverse = np.linalg.inv(np.linalg.cholesky(kernel))
        self._weights = self._inverse.T @ (self._inverse @ self._targets)

    def _rest(self, squared: Array) -> Array:
        """Covariance of the smooth rest at squared distances of scaled features."""
        shared: Array = SMOOTH * np.exp(np.maximum(squared, 0.0) / -self._width)
        return shared

    def _weigh(self) -> None:
        """One EM step: a knob's variance is its weights' mean square under the posterior."""
        mean = self._column * (self._features.T @ self._weights[:, 0])
        seen = self._inverse @ self._features
        variance = self._column - self._column**2 * (seen * seen).sum(0)
        columns = self._encoding.columns
        energy = np.bincount(self._encoding.owner, mean * mean + variance) * columns
        self._relevance = (STRENGTH * self._prior + energy) / (STRENGTH + columns)


def log_improvement(best: float, mean: Array, spread: Array) -> Array:
    """Logarithm (m,) of the expected amount below ``best`` (Jones, Schonlau and Welch 1998, equation 15)."""
    z = (best - mean) / spread
    below = 0.5 * np.array([math.erfc(x) for x in (z * -math.sqrt(0.5)).tolist()])
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    found: Array = np.log(np.maximum(spread * (z * below + density), 1e-300))
    return found

"""Gaussian-process regression on many outputs that share one kernel: the arithmetic of the fit, in torch.

Exact on a subset for the kernel's own parameters (Rasmussen and Williams 2006, chapter 5), then projected on inducing
points for all rows (deterministic training conditional, Quinonero-Candela and Rasmussen 2005, JMLR 6, section 5),
which leaves weights over the inducing points: a prediction costs one matrix-vector product.

The kernel is a sum of two Matern-5/2 kernels (R&W, eq. 4.17) on one set of length scales, the second ``wide`` times
longer: a coarse trend and the detail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LENGTH_PRIOR = (3.0, 1.5)
"""Mean and standard deviation of the normal prior on log length scales, in standard deviations of a feature; about
the square root of the number of features, so that a typical distance is of order 1 before anything is learned."""
JITTER = 1e-5
"""Added to unit-scale kernel diagonals, so that float64 Cholesky factors exist."""
NOISE_GRID = tuple(10 ** (-4 + 0.25 * i) for i in range(21))
"""Noise-to-signal variance ratios tried for each output, 1e-4 to 1e1."""


@dataclass(frozen=True)
class Kernel:
    """``lengths`` (d,) in units of standardized features; ``share`` of the variance is the wide part's."""

    lengths: Tensor
    share: Tensor
    wide: Tensor

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Covariances (n, m) of unit-variance functions at rows ``a`` (n, d) and ``b`` (m, d)."""
        u, v = a / self.lengths, b / self.lengths
        squared = ((u * u).sum(1)[:, None] + (v * v).sum(1) - 2 * u @ v.T).clamp_min(1e-12)
        r = squared.sqrt() * math.sqrt(5)
        return (1 - self.share) * _matern(r) + self.share * _matern(r / self.wide)


def _matern(r: Tensor) -> Tensor:
    return (1 + r + r * r / 3) * torch.exp(-r)


def learn_kernel(x: Tensor, y: Tensor, steps: int, rate: float = 0.1) -> Kernel:
    """Maximize the marginal likelihood of standardized outputs ``y`` (n, k) over kernel and noise, by Adam."""
    dimensions = x.shape[1]
    logs = torch.full((dimensions,), LENGTH_PRIOR[0], dtype=x.dtype).requires_grad_()
    rest = torch.tensor([0.0, 1.0, 0.0, -3.0], dtype=x.dtype).requires_grad_()  # share, wide, variance, noise
    optimizer = torch.optim.Adam([logs, rest], lr=rate)
    eye = torch.eye(len(x), dtype=x.dtype)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - 0.9 * step / steps)
        covariance = rest[2].exp() * _kernel(logs, rest)(x, x) + (rest[3].exp() + JITTER) * eye
        factor = torch.linalg.cholesky(covariance)
        fit = 0.5 * (y * torch.cholesky_solve(y, factor)).sum() / y.shape[1]
        prior = 0.5 * ((logs - LENGTH_PRIOR[0]) ** 2).sum() / LENGTH_PRIOR[1] ** 2
        loss = fit + factor.diagonal().log().sum() + prior
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return _kernel(logs.detach(), rest.detach())


def _kernel(logs: Tensor, rest: Tensor) -> Kernel:
    return Kernel(logs.exp(), torch.sigmoid(rest[0]), 1 + rest[1].exp())


def spectrum_of(kernel: Kernel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (n,) and eigenvectors (n, n) of the covariance at rows ``x``: what all outputs there share."""
    values, vectors = torch.linalg.eigh(kernel(x, x))
    return values, vectors


def noise_ratio(values: Tensor, vectors: Tensor, y: Tensor) -> tuple[float, float]:
    """The likeliest noise-to-signal variance ratio for one output ``y`` (n,) on a :func:`spectrum_of` its rows, and
    its signal variance."""
    projected = (vectors.T @ y) ** 2
    n = len(y)
    best = (math.inf, NOISE_GRID[0], 1.0)
    for ratio in NOISE_GRID:
        spectrum = values.clamp_min(0) + ratio
        variance = max(1e-12, (projected / spectrum).mean().item())
        best = min(best, (0.5 * n * math.log(variance) + 0.5 * spectrum.log().sum().item(), ratio, variance))
    return best[1], best[2]


def spread_points(kernel: Kernel, x: Tensor, count: int) -> Tensor:
    """Indices of ``count`` rows that span the rest best: a pivoted Cholesky factorization (Foster et al. 2009)."""
    left = torch.ones(len(x), dtype=x.dtype)
    chosen: list[int] = []
    rows = torch.zeros((min(count, len(x)), len(x)), dtype=x.dtype)
    for k in range(min(count, len(x))):
        pivot = int(left.argmax())
        row = kernel(x[pivot : pivot + 1], x)[0] - rows[:k, pivot] @ rows[:k]
        rows[k] = row / left[pivot].clamp_min(JITTER).sqrt()
        left = (left - rows[k] ** 2).clamp_min(0)
        left[pivot] = -1.0
        chosen.append(pivot)
    return torch.tensor(chosen)


@dataclass(frozen=True)
class Projection:
    """What all outputs share: inducing points ``z`` (m, d) and the factor (m, m) of their covariance."""

    kernel: Kernel
    z: Tensor
    factor: Tensor

    def basis(self, x: Tensor) -> Tensor:
        """(n, m) whitened features: products of two rows are the projected covariance."""
        rows: Tensor = torch.linalg.solve_triangular(self.factor, self.kernel(self.z, x), upper=False).T
        return rows

    def weights(self, whitened: Tensor) -> Tensor:
        """Weights (m, ...) over kernel values from weights over the whitened basis."""
        weights: Tensor = torch.linalg.solve_triangular(self.factor.T, whitened, upper=True)
        return weights


def project(kernel: Kernel, z: Tensor) -> Projection:
    eye = torch.eye(len(z), dtype=z.dtype)
    return Projection(kernel, z, torch.linalg.cholesky(kernel(z, z) + JITTER * eye))


@dataclass(frozen=True)
class Posterior:
    """Of one output: whitened weights (m,), and the factor (m, m) whose inverse carries their uncertainty."""

    mean: Tensor
    factor: Tensor
    signal: float

    def variance(self, basis: Tensor) -> Tensor:
        """Posterior variance (n,) of the function, prior variance outside the span of the points included."""
        inside = torch.linalg.solve_triangular(self.factor, basis.T, upper=False).square().sum(0)
        variance: Tensor = self.signal * (inside + (1 - basis.square().sum(1)).clamp_min(0))
        return variance


def leave_one_out(posterior: Posterior, basis: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals and the function's variances at each row, had it not been fitted on (R&W, section 5.4.2, in the
    weight-space form: leverage h gives residual / (1 - h) and variance / (1 - h)). ``y`` and ``noise`` as fitted."""
    inside = torch.linalg.solve_triangular(posterior.factor, basis.T, upper=False).square().sum(0)
    rest = (1 - inside / noise).clamp_min(1e-3)
    missing = (1 - basis.square().sum(1)).clamp_min(0)
    return (y - basis @ posterior.mean) / rest, posterior.signal * (inside / rest + missing)


def regress(basis: Tensor, y: Tensor, noise: Tensor, signal: float) -> Posterior:
    """Bayesian linear regression on the whitened basis; ``noise`` (n,) are variances as a share of ``signal``."""
    scaled = basis / noise[:, None]
    precision = basis.T @ scaled + torch.eye(basis.shape[1], dtype=basis.dtype)
    factor = torch.linalg.cholesky(precision)
    mean = torch.cholesky_solve((scaled.T @ y)[:, None], factor)[:, 0]
    return Posterior(mean, factor, signal)


def classify(basis: Tensor, labels: Tensor, signal: float, iterations: int = 30) -> tuple[Tensor, float]:
    """Logistic regression on the whitened basis with a normal prior of variance ``signal`` on each weight: the mode
    of a Gaussian-process classifier (R&W, section 3.4), by Newton's method with halved steps. Returns weights (m,)
    and intercept."""
    rate = labels.mean().clamp(1e-3, 1 - 1e-3)
    design = torch.cat((basis, torch.ones((len(basis), 1), dtype=basis.dtype)), 1)
    penalty = torch.full((design.shape[1],), 1 / signal, dtype=basis.dtype)
    penalty[-1] = 1e-6
    w = torch.zeros(design.shape[1], dtype=basis.dtype)
    w[-1] = torch.log(rate / (1 - rate))

    def loss(weights: Tensor) -> float:
        odds = design @ weights
        return float((torch.nn.functional.softplus(odds) - labels * odds).sum() + 0.5 * (penalty * weights**2).sum())

    for _ in range(iterations):
        p = torch.sigmoid(design @ w)
        gradient = design.T @ (p - labels) + penalty * w
        hessian = (design.T * (p * (1 - p)).clamp_min(1e-8)) @ design + torch.diag(penalty)
        step, share, before = torch.linalg.solve(hessian, gradient), 1.0, loss(w)
        while share > 1e-3 and loss(w - share * step) > before:
            share /= 2
        w = w - share * step
        if before - loss(w) < 1e-6:
            break
    return w[:-1], float(w[-1])

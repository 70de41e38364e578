"""What candidates are worth to a model of whole configurations: improvement for each second of a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaloop.brains.encoding import Array, Encoding
from metaloop.brains.evidence import NOISE, Evidence, normal_scores
from metaloop.brains.regression import Regression, log_improvement


class Forecast:
    """Made from the evidence of one decision (with at least one score) and the rows that are on their way."""

    def __init__(self, encoding: Encoding, evidence: Evidence, pending: Sequence[Array]) -> None:
        self._evidence = evidence
        self._ranks = normal_scores(evidence.scores)
        self._order = np.argsort(np.where(evidence.scored, self._ranks, np.inf), kind="stable")
        targets = np.stack([self._ranks, evidence.log_seconds], 1)
        self._model = Regression(encoding, evidence.rows, targets, evidence.noise)
        if pending:
            self._model = self._model.believing(np.array(pending), NOISE)

    def best_rows(self, count: int) -> Array:
        """The rows of the best scores, at most ``count``, best first."""
        return self._evidence.rows[self._order[: min(count, int(self._evidence.scored.sum()))]]

    def value(self, rows: Array) -> Array:
        """Logarithm of the expected improvement (in ranks) per second, for each of ``rows`` (m,)."""
        mean, spread = self._model.predict(rows)
        best = float(self._ranks[self._order[0]])
        value: Array = log_improvement(best, mean[:, 0], spread) - mean[:, 1]
        return value

    def bpb(self, row: Array) -> float:
        """The expected score: the rank read back on the scores seen, never better than the best of them."""
        mean, _ = self._model.predict(row[None])
        finite = np.isfinite(self._evidence.scores)
        order = np.argsort(self._ranks[finite], kind="stable")
        return float(np.interp(mean[0, 0], self._ranks[finite][order], self._evidence.scores[finite][order]))

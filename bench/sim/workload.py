"""The same work for every simulator: recorded learning curves as a table, and random search over its rows.

The recording has five points to a curve. Tables with more are interpolated: what a simulator spends on a training may
depend on how often it reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from metaloop.execution.nanogpt_trainer import knobs
from metaloop.execution.recording.table import read_table
from metaloop.execution.trainer import Target, TrainerSpec
from metaloop.files.org_file import load_organization
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Space

ROOT = Path(__file__).resolve().parents[2]
SIDE = 141
ROWS = SIDE * SIDE
"""Two whole-number knobs of SIDE values each name a row."""
FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Where the recorded curves have their points."""
RECORDED = len(FRACTIONS)


@dataclass(frozen=True)
class Table:
    """``bpb`` and ``seconds`` of each recorded curve at its ``fractions``, both (curves, points), and which curve each
    of the :data:`ROWS` rows holds."""

    fractions: tuple[float, ...]
    bpb: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Row by row, for the other simulators."""
        np.savez(path, bpb=self.bpb[self.rows], seconds=self.seconds[self.rows])

    @property
    def mean_seconds(self) -> float:
        return float(self.seconds[self.rows, -1].mean())


def load_table(points: int = RECORDED) -> Table:
    """The shipped recording's whole curves, drawn with replacement to :data:`ROWS` rows (the same each time).

    Unless ``points`` is what the recording has, they are read at so many even steps: linearly between the recorded
    points, seconds from 0 on; before its first point a curve is taken to be flat.
    """
    with as_file(files("metaloop.execution.recording").joinpath("data", "cpu-tiny.parquet")) as path:
        recorded = read_table(path, Space(knobs()))
    whole = [row.result.curve for row in recorded if row.result.state == "ok"]
    chosen = np.random.default_rng(0).integers(len(whole), size=ROWS)
    bpb = np.array([[point.bpb for point in curve] for curve in whole])
    seconds = np.array([[point.seconds for point in curve] for curve in whole])
    if points == RECORDED:
        return Table(FRACTIONS, bpb, seconds, chosen)
    even = np.arange(1, points + 1) / points
    bpb = np.array([np.interp(even, FRACTIONS, curve) for curve in bpb])
    seconds = np.array([np.interp(even, (0.0, *FRACTIONS), (0.0, *curve)) for curve in seconds])
    return Table(tuple(even.tolist()), bpb, seconds, chosen)


class TableTrainer:
    """A simulated trainer that looks its results up: row a·SIDE + b, modulo the table's length."""

    def __init__(self, table: Table) -> None:
        curves = [
            tuple(map(CurvePoint, table.fractions, seconds, bpb))
            for seconds, bpb in zip(table.seconds.tolist(), table.bpb.tolist(), strict=True)
        ]
        self._curves = [curves[row] for row in table.rows.tolist()]

    def train(self, request: TrainingRequest) -> TrainingResult:
        return self.simulate(request, 1.0)

    def simulate(self, request: TrainingRequest, speed: float) -> TrainingResult:
        config = request.config
        curve = self._curves[(int(config.get("a", 0)) * SIDE + int(config.get("b", 0))) % ROWS]
        last = curve[-1]
        return TrainingResult("ok", last.seconds / speed, dict.fromkeys(request.score_on, last.bpb), curve)


def table_target(side: int) -> Target:
    """Two knobs with ``side`` values each; with more than :data:`SIDE`, rows come several times under other names."""
    knobs_ = tuple(Knob(name, "optimizer", "int", 0, 0, side - 1) for name in ("a", "b"))
    return Target(TrainerSpec("table", "table", ""), knobs_, {"trainer": "table"}, {}, 1e9)


def organization(name: str) -> Organization:
    """A shipped organization; random search looks far back, so that it never draws what it has drawn."""
    found = load_organization(ROOT / "orgs" / name)
    return msgspec.structs.replace(found, name=name)

"""JSON schemas of what commands print with ``--json``, made from the records themselves.

``python -m metaloop.edges.schemas docs/schemas`` writes one file for each kind of output; a test checks that they are
current, and that what the commands print is what they say. Fields are never removed or given another meaning, so that
a reader may rely on every one that it finds here, and must not mind others beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from metaloop.edges.calibration import Calibration
from metaloop.edges.commands.answer import AnswerTaken, OpenQuestions
from metaloop.edges.commands.check import CheckedAll
from metaloop.edges.commands.record import RecordingSummary
from metaloop.edges.commands.replay import ReplayedRun
from metaloop.edges.commands.role import ShownRole
from metaloop.edges.commands.scout import Sighting
from metaloop.edges.evolution.results import EvolutionResults
from metaloop.edges.leaderboard import Leaderboard
from metaloop.edges.transfer import TransferResults
from metaloop.execution.ray_jobs import Job
from metaloop.execution.simulator.cluster import Cluster
from metaloop.meta.calibration import Timing
from metaloop.meta.evolution.plan import Plan
from metaloop.meta.fidelity import Fidelity
from metaloop.meta.results import IdeaFates, Results
from metaloop.meta.watching import RunNow
from metaloop.vocabulary.lessons import Lessons
from metaloop.vocabulary.space import Knob

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def outputs() -> Mapping[str, tuple[str, Any]]:
    """Name of a schema to the commands that print it, and the type it is made from."""
    return {
        "answer": ("answer ID CHOICE", AnswerTaken),
        "answers-open": ("answer", OpenQuestions),
        "calibrate": ("calibrate", Calibration),
        "calibrate-timing": ("calibrate --timing-only", Timing),
        "check": ("check", CheckedAll),
        "cluster": ("cluster NAME", Cluster),
        "cluster-fields": ("cluster --fields", dict[str, tuple[Knob, ...]]),
        "clusters": ("cluster", dict[str, str]),
        "compare": ("compare", Leaderboard),
        "evolve": ("evolve, resume of an evolution", EvolutionResults),
        "evolve-plan": ("evolve --dry-run", Plan),
        "fidelity": ("fidelity", Fidelity),
        "idea-list": ("idea list", IdeaFates),
        "launch": ("launch run, launch evolve, launch resume, launch status ID, launch logs, launch stop", Job),
        "launch-jobs": ("launch status", list[Job]),
        "lessons": ("lessons gather, lessons show", Lessons),
        "record": ("record", RecordingSummary),
        "replay": ("replay", ReplayedRun),
        "role": ("role show", ShownRole),
        "run": ("run, resume of a run, transfer of an organization", Results),
        "scout": ("scout", Sighting),
        "top": ("top", RunNow),
        "transfer": ("transfer of a run", TransferResults),
    }


UNKNOWABLE = ("calibrate", "fidelity")
"""Outputs with statistics that too few org runs have no value for: a number that is not one is written as null."""


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one kind of output, references and all."""
    commands, kind = outputs()[name]
    (made,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    defined = {"$defs": dict(sorted(parts.items()))} if parts else {}
    schema = {"$schema": DIALECT, "title": f"metaloop {commands} --json", **made, **defined}
    found: dict[str, Any] = _unknowable(schema) if name in UNKNOWABLE else schema
    return found


def _unknowable(node: Any) -> Any:
    """With null beside every number."""
    if isinstance(node, list):
        return [_unknowable(item) for item in node]
    if not isinstance(node, dict):
        return node
    kind = {"type": ["number", "null"]} if node.get("type") == "number" else {}
    return {key: _unknowable(value) for key, value in node.items()} | kind


def main(folder: Path) -> None:
    """Write every schema into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in outputs():
        text = msgspec.json.format(msgspec.json.encode(schema_of(name)), indent=1)
        (folder / f"{name}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

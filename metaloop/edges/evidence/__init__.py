"""The evidence that lies beside an evolved organization: ``EVIDENCE.md``, ``anytime.svg``, ``evidence.json``."""

from __future__ import annotations

from pathlib import Path

from metaloop.edges.evidence.markdown import render
from metaloop.files.run_folder import write_json
from metaloop.meta.evidence.report import Evidence

NOTE, PICTURE, RECORD = "EVIDENCE.md", "anytime.svg", "evidence.json"


def write_evidence(evidence: Evidence, folder: Path) -> Path:
    """Write all three into the organization's folder; the path of ``EVIDENCE.md``."""
    from metaloop.edges.evidence.picture import draw

    folder.mkdir(parents=True, exist_ok=True)
    draw(evidence, folder / PICTURE)
    write_json(folder / RECORD, evidence)
    note = folder / NOTE
    note.write_text(render(evidence, PICTURE), encoding="utf-8")
    return note

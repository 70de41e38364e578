"""``make demo-local-model``: an organization all of whose members are a real model, on real trainings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from metaloop.edges.cli import run_script
from metaloop.edges.commands.options import default_out
from metaloop.edges.commands.run import run_command
from metaloop.edges.local_model import NAME, local_model
from metaloop.edges.outcome import where_to_look
from metaloop.files.run_folder import RunFolder

ORGANIZATION = "quartet"
"""Knobs and code are proposed, reviewed and merged; as many members as the model keeps prompts in its cache."""
TEXT = f"""---
name: {ORGANIZATION}
description: Two propose, one knobs and one code, one reviews, one merges; all four are a small language model.
model: {NAME}
quorum: 1
members:
  - role: local-proposer
  - role: code-proposer
  - role: gain-reviewer
  - role: greedy-merger
---
# Quartet

Small steps, looked at twice.
"""
GPU_HOURS = "0.05"
ROOT = Path(__file__).resolve().parents[2]


def write_organization(base: Path) -> Path:
    """The organization's folder below ``base``, beside the library of roles."""
    folder = base / "orgs" / ORGANIZATION
    folder.mkdir(parents=True)
    (folder / "ORG.md").write_text(TEXT)
    shutil.copytree(ROOT / "roles", base / "roles")
    return folder


def main() -> None:
    """Run one organization with the local model as every member's brain, and say where to look."""
    base = default_out("local-model")
    out = base / "run"
    click.echo(f"four members, each of them {NAME}: a smoke test, it decides no better than chance", err=True)
    with local_model() as url:
        os.environ["OPENAI_BASE_URL"] = url
        sizes = ["--preset", "cpu-tiny", "--gpu-hours", GPU_HOURS, "--devices", "1", "--confirm-pairs", "2"]
        run_command.main([str(write_organization(base)), *sizes, "--out", str(out)], standalone_mode=False)
    where_to_look(RunFolder(out))
    click.echo(f"Transcripts     {out}/{ORGANIZATION}/seed-0/transcripts", err=True)


if __name__ == "__main__":
    run_script(main)

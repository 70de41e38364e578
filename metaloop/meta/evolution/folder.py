"""The layout of an evolution's folder.

::

    OUT/
      evolution.json       the terms (EvolutionTerms): what `resume` needs
      given/NAME/          seed organizations and controls, whole
      roles/               the library that mutations draw from
      children/NAME/       everyone that was bred, whole
      measured.jsonl       every org run's result (Measured, one a line): what was paid for
      STAGE/               a run's folder (journals, repositories, confirmations) for each stage on real trainings
      thought/STAGE/       the same for simulated stages, of those who ask models
      rewritings/          every rewriting of prose that was paid for (Rewritten), one file each
      simulated/           the run's folder of the last comparison in the simulator
      evolved/NAME/        what is handed over: the winner, whole, with EVIDENCE.md
      results.json         what `--json` prints
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import find_library, read_organization, write_files
from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import load_library
from metaloop.files.run_folder import RunFolder, write_json
from metaloop.meta.evolution.terms import EvolutionTerms
from metaloop.vocabulary.errors import FileError


class EvolutionFolder:
    """Paths of an evolution."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.terms = path / "evolution.json"
        self.measured = path / "measured.jsonl"
        self.results = path / "results.json"
        self.library = path / "roles"
        self.rewritings = path / "rewritings"
        self.limits = path / "limits"

    def begin(self, terms: EvolutionTerms, given: Mapping[str, OrgFile]) -> None:
        """Write everything that the evolution starts from, and last its terms: with them it has begun."""
        for name, file in given.items():
            if not self.given(name).exists():
                write_files(file, self.given(name))
        self.library.mkdir(parents=True, exist_ok=True)
        first = next(iter(given.values()))
        library = find_library(first.folder)
        for role in (load_library(library) if library else {}).values():
            (self.library / f"{role.name}.md").write_bytes(role.document.encode())
        write_json(self.terms, terms)

    def given(self, name: str) -> Path:
        """A seed organization or control."""
        return self.path / "given" / name

    def child(self, name: str) -> Path:
        """Someone that was bred."""
        return self.path / "children" / name

    def stage(self, name: str) -> RunFolder:
        """The run's folder of a stage."""
        return RunFolder(self.path / name)

    def thought(self, stage: str) -> RunFolder:
        """The run's folder of a simulated stage, of those who ask models."""
        return RunFolder(self.path / "thought" / stage)

    def evolved(self, name: str) -> Path:
        """What is handed over."""
        return self.path / "evolved" / name

    def raise_child(self, name: str, child: OrgFile) -> OrgFile:
        """Write a child into its folder (unless it stands there), and read it back.

        Raises:
            FileError: another one stands there: this metaloop breeds others than the one that began.
        """
        place = self.child(name)
        if not place.exists():
            return write_files(child, place)
        there = read_organization(place)
        if not _same_texts(there, child):
            message = "is not the child that this metaloop breeds in its place. Resume with the version that began."
            raise FileError(place, None, message)
        return there


def _same_texts(there: OrgFile, child: OrgFile) -> bool:
    named = set_value(child.document, ("name",), there.name)
    roles = {name: role.document.text for name, role in child.roles.items()}
    return there.document.text == named.text and roles == {n: r.document.text for n, r in there.roles.items()}

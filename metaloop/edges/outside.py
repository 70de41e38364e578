"""What comes to a run from outside: sources for scouts, and lessons of earlier org runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from metaloop.execution.trainer import Target
from metaloop.files.markdown import MAX_BYTES
from metaloop.files.org_file import OrgFile
from metaloop.files.run_folder import RunFolder, RunTerms, read_json
from metaloop.files.sources_file import read_sources
from metaloop.vocabulary.errors import OrgFileError, UsageError
from metaloop.vocabulary.lessons import Lesson, Lessons
from metaloop.vocabulary.sources import ScoutTerms, Source
from metaloop.vocabulary.text import nearest


def cache_folder() -> str:
    """Where scouts keep replies on this machine (https://specifications.freedesktop.org/basedir-spec/latest/)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return str(root / "metaloop" / "scout")


def sources_for(files: Sequence[OrgFile], path: Path | None) -> tuple[Source, ...]:
    """The sources of a file (by default those shipped) where an organization has a scout to look there; else none.

    Raises:
        FileError: the file is wrong.
        OrgFileError: a scout asks for a source that is not in it.
        UsageError: a file was named, and nobody would look there.
    """
    if not any(file.kind(entry) == "scout" for file in files for entry in file.members):
        if path is not None:
            raise UsageError("--sources names where scouts look, but no organization has a scout. Drop it, or add one.")
        return ()
    sources = read_sources(path) if path is not None else read_sources()
    for file in files:
        _check_names(file, [source.name for source in sources])
    return sources


def _check_names(file: OrgFile, known: Sequence[str]) -> None:
    for member in file.to_organization().of_kind("scout"):
        names = member.policy["sources"]
        for name in names if isinstance(names, tuple) else ():
            if name not in known:
                found = f"scout {member.name} looks in {name!r}{nearest(name, known)}, expected a source of the file"
                advice = f"({', '.join(known) or 'it has none'}). Correct it, or name another file with --sources."
                raise OrgFileError(file.document.path, None, f"{found} {advice}")


def with_notes(terms: RunTerms, folder: RunFolder) -> RunTerms:
    """The terms of a simulated run, with a copy of all notes: its history must follow from its folder and seed."""
    if terms.backend != "sim":
        return terms
    return msgspec.structs.replace(terms, sources=tuple(_copied(source, folder) for source in terms.sources))


def _copied(source: Source, folder: RunFolder) -> Source:
    from metaloop.brains.scout.notes import note_files

    if source.kind != "folder":
        return source
    place = folder.notes / source.name
    place.mkdir(parents=True, exist_ok=True)
    for note in note_files(Path(source.address)):
        if note.stat().st_size <= MAX_BYTES:  # no larger one is read
            shutil.copyfile(note, place / note.name)
    return msgspec.structs.replace(source, address=str(place.relative_to(folder.path)))


def scout_terms(folder: RunFolder, terms: RunTerms) -> ScoutTerms:
    """What the scouts of a run's organizations work with."""
    whole = folder.path.resolve()
    sources = [
        msgspec.structs.replace(source, address=str(whole / source.address)) if source.kind == "folder" else source
        for source in terms.sources
    ]
    return ScoutTerms(tuple(sources), cache_folder())


def lessons_for(files: Iterable[OrgFile], path: Path | None, target: Target) -> tuple[Lesson, ...]:
    """The lessons in a file, for a run on this target.

    Raises:
        FileError: it is no file of lessons.
        UsageError: nobody would be told them, or they come from another target.
    """
    if path is None:
        return ()
    if not any(file.settings["lessons"] for file in files):
        raise UsageError("--lessons was given, but no organization wants them. Set `lessons: true` in an ORG.md.")
    from metaloop.meta.lessons import check_target

    found = read_json(path, Lessons)
    check_target(found, target)
    return found.lessons

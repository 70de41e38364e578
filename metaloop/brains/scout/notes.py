"""A folder of notes as a source: Markdown or text files, one idea each.

Front matter, where there is any, may hold ``title``, ``link`` and ``changes`` (a mapping of knobs to values); otherwise
the first line is the title. What cannot be read is passed over and counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from metaloop.brains.scout.hits import Hit, hit
from metaloop.files.markdown import parse, read_text
from metaloop.vocabulary.errors import FileError, SourceError

MOST_NOTES = 500
SUFFIXES = (".md", ".txt")


class Note(NamedTuple):
    """A note as a hit, and the changes that its front matter spells out."""

    hit: Hit
    changes: dict[str, Any]


class Notes(NamedTuple):
    """What a folder holds, and a remark on what it could not be read for."""

    notes: list[Note]
    remark: str


def note_files(folder: Path) -> list[Path]:
    """The notes in a folder, by name; links and hidden files are none.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))
    except OSError as error:
        raise SourceError(f"the folder cannot be read: {error.strerror}") from None
    return [path for path in found if path.is_file() and not path.is_symlink()][:MOST_NOTES]


def read_notes(folder: Path) -> Notes:
    """All notes of a folder, by name of file; :class:`SourceError` where it cannot be listed."""
    notes: list[Note] = []
    faults: list[str] = []
    for path in note_files(folder):
        try:
            note = _note(path)
        except FileError as fault:
            faults.append(f"{path.name}: {fault.message}")
            continue
        if note is not None:
            notes.append(note)
    more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
    return Notes(notes, f"{faults[0]}{more}" if faults else "")


def _note(path: Path) -> Note | None:
    text = read_text(path, FileError)
    fields: dict[str, Any] = {}
    if text.startswith("---"):
        document = parse(text, path)
        fields, text = document.data, document.body
    title = str(fields.get("title") or "")
    if not title:
        first, _, text = text.strip().partition("\n")
        title = first.lstrip("# ")
    found = hit(title, text.strip(), str(fields.get("link") or ""))
    changes = fields.get("changes")
    return None if found is None else Note(found, changes if isinstance(changes, dict) else {})

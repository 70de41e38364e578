"""The run folder of a stage: its terms, and everyone that runs on it, whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from metaloop.files.org_file import write_files
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunFolder, RunTerms, write_json
from metaloop.meta.evolution.terms import Request

Stages = Mapping[str, tuple[RunTerms, str]]
"""Stage to its terms, and the split that it is scored on."""


def prepare(
    place: RunFolder, terms: RunTerms, organizations: Mapping[str, OrgFile], requests: Sequence[Request]
) -> None:
    """Make the folder, or add to it whom the requests name."""
    known = place.read_terms() if place.terms.exists() else terms
    names = dict.fromkeys([*known.organizations, *(request.name for request in requests)])
    for name in names:
        if not (place.organizations / name).exists():
            write_files(organizations[name], place.organizations / name)
    if tuple(names) != known.organizations or not place.terms.exists():
        write_json(place.terms, msgspec.structs.replace(known, organizations=tuple(names)))

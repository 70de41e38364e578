"""The real run that calibration and fidelity learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metaloop.edges.commands.options import make_terms, organization_folders
from metaloop.edges.device_groups import check_alone
from metaloop.files.org_file import read_organization
from metaloop.files.run_folder import RunFolder


def prepare_real(organizations: tuple[Path, ...], out: Path, options: dict[str, Any]) -> Path:
    """``out/real``: the folder of a run on real training, made unless it stands.

    Raises:
        UsageError, OrgFileError, TrainerError: before any device time is spent.
    """
    from metaloop.edges import session

    folder = RunFolder(out / "real")
    if folder.terms.exists():
        return folder.path
    check_alone(options["devices_per_experiment"])
    folders = organization_folders(organizations)
    terms = make_terms({**options, "backend": "ray", "trainer": "nanogpt", "cluster": None}, tuple(folders), {})
    target = session.target_of(terms)
    for path in folders.values():
        session.check_runnable(read_organization(path), target)
    return session.create(folder.path, terms, folders).path

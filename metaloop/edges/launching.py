"""From a command's arguments to a job: everything that can be wrong is found here, before anything travels."""

from __future__ import annotations

import os
import re
import shlex
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from metaloop.edges.commands.evolve import evolve_command
from metaloop.edges.commands.options import make_terms, organization_folders
from metaloop.edges.commands.resume import resume_command
from metaloop.edges.commands.run import run_command
from metaloop.edges.shipment import pack
from metaloop.execution.ray_jobs import Submission
from metaloop.files.org_file import read_organization
from metaloop.vocabulary.errors import UsageError

COMMANDS: Mapping[str, click.Command] = {"run": run_command, "evolve": evolve_command, "resume": resume_command}
FILES = ("models", "sources", "lessons")
"""Options that name a file of this machine."""
TRACKING = "MLFLOW_TRACKING_URI"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def prepare(kind: str, arguments: tuple[str, ...], options: Mapping[str, Any], scratch: Path) -> Submission:
    """The job that ``metaloop KIND ARGUMENTS`` becomes; its package is written into ``scratch``.

    Raises:
        UsageError, OrgFileError, click.ClickException: what the command itself would say.
    """
    given = COMMANDS[kind].make_context(kind, list(arguments)).params
    if given["address"] or given["as_json"]:
        raise UsageError("--address and --json are the launch's own. Give each once.")
    root = options["working_dir"].resolve()
    paths = [path for path in (*given.get("organizations", ()), *given.get("controls", ())) if path is not None]
    paths += [given[name] for name in FILES if given.get(name)]
    travelling = {str(path): _inside(path, root) for path in paths}
    if kind != "resume":
        for folder in organization_folders(given["organizations"]).values():
            read_organization(folder)
        make_terms({"seeds": 1, **given}, (), {})
    package = scratch / "working_dir.zip"
    pack(root, options["excludes"], package)
    environment = _environment(options["variables"], given)
    words = [options["python"], "-m", "metaloop", kind, *(travelling.get(word, word) for word in arguments)]
    if TRACKING not in environment and not given["no_mlflow"]:
        words.append("--no-mlflow")  # a file in the job's working directory would go with it
    return Submission(
        id=_id(options["name"], kind),
        kind=kind,
        command=shlex.join([*words, "--address", "auto"]),
        package=str(package),
        place=_place(kind, given),
        environment=environment,
        requirements=str(options["requirements"] or ""),
    )


def _inside(path: Path, root: Path) -> str:
    """The path as the job sees it, from its working directory."""
    if not path.exists():
        raise UsageError(f"{path} does not exist. Organizations and model files travel from this machine.")
    if not path.resolve().is_relative_to(root):
        raise UsageError(f"{path} is not in {root}, which is what travels. Name another --working-dir.")
    return path.resolve().relative_to(root).as_posix()


def _place(kind: str, given: Mapping[str, Any]) -> str:
    """Where the job's folder is to be found afterwards: the mirror, or a path that nodes share.

    Raises:
        UsageError: it would be in the job's working directory, which Ray deletes.
    """
    out = str(given["out"] or "")
    if kind == "resume":
        place = str(given["directory"])
        if "://" not in place and not Path(place).is_absolute():
            raise UsageError(f"{place} is a folder here, not there. Name an absolute path on the cluster, or a URL.")
        return place
    if given["mirror"]:
        return str(given["mirror"])
    if not out.startswith("/"):
        raise UsageError(
            f"a job's working directory goes with the job, and {'--out ' + out if out else 'the default folder'} would "
            "be in it. Name an absolute path that outlives the node (--out /shared/runs/NAME), or storage (--mirror "
            "s3://...)."
        )
    return out


def _environment(variables: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, str]:
    """What travels of the environment: what was named, and where MLflow is if that is a server."""
    found: dict[str, str] = {}
    tracking = given["mlflow"] or os.environ.get(TRACKING, "")
    if "://" in tracking and not tracking.startswith(("sqlite:", "file:")):
        found[TRACKING] = tracking
    for variable in variables:
        name, equals, value = variable.partition("=")
        if not equals and name not in os.environ:
            raise UsageError(f"--env {name}: there is no such variable here. Set it, or write {name}=VALUE.")
        found[name] = value if equals else os.environ[name]
    return found


def _id(name: str, kind: str) -> str:
    if not name:
        return f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    if not _ID.fullmatch(name):
        raise UsageError(f"--id {name!r}: expected up to 100 letters, digits, '-' and '_'.")
    return name

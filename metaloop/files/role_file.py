"""A role file: a Claude Code subagent file whose ``org:`` key adds what metaloop needs.

``name``, ``description``, ``tools`` and ``model`` keep their meaning there; the other keys of that format are
carried along unread. So one file serves as a subagent elsewhere and as a role here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from metaloop.files.form import Form, Policy, show
from metaloop.files.markdown import Document, read
from metaloop.files.policies import NAME_LISTS, POLICIES, defaults
from metaloop.vocabulary.errors import FileError, RoleFileError
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Knob, Value
from metaloop.vocabulary.text import nearest

KINDS: tuple[RoleKind, ...] = get_args(RoleKind)
NOT_ROLES = ("README.md", "ORG.md", "EVIDENCE.md")
"""Markdown that may lie beside role files."""

SUBAGENT_KEYS = (
    "background", "color", "disallowedTools", "effort", "hooks", "initialPrompt", "isolation", "maxTurns",
    "mcpServers", "memory", "permissionMode", "skills",
)  # fmt: skip
"""Keys of the Claude Code subagent format that mean nothing here and are left alone."""

TOP_KEYS: Mapping[str, str] = {
    "name": "Lower-case words joined by '-'; equals the file's name without '.md'. Required.",
    "description": "When to call on this role, in a sentence. Required.",
    "tools": "Tools of a Claude Code subagent: `Read, Edit, Bash`. A proposer with `Edit` may change source code.",
    "model": "The brain: `scripted`, `human`, or a name in the models file; default `inherit`, the organization's.",
    "org": "What metaloop adds: `kind` and `policy`. Required.",
}
"""Top-level keys that metaloop reads, with their meaning."""

ORG_KEYS: Mapping[str, str] = {
    "kind": "What the role does: " + ", ".join(f"`{kind}`" for kind in KINDS) + ". Required.",
    "policy": "The role's knobs, see the table of its kind. What is absent holds its default.",
}
"""Keys under ``org:``, with their meaning."""


@dataclass(frozen=True)
class RoleFile:
    """A role as written: ``policy`` holds only what the file sets; ``prose`` is the Markdown below."""

    path: Path
    name: str
    description: str
    tools: tuple[str, ...]
    model: str
    kind: RoleKind
    policy: Policy
    prose: str
    document: Document


def load_role(path: Path) -> RoleFile:
    """Read and check a role file.

    Raises:
        RoleFileError: the first thing wrong with it.
    """
    return parse_role(read(path, RoleFileError))


def load_library(folder: Path) -> dict[str, RoleFile]:
    """Every role file of a library, by name.

    Raises:
        RoleFileError: the first thing wrong with one of them.
    """
    return {path.stem: load_role(path) for path in sorted(folder.glob("*.md")) if path.name not in NOT_ROLES}


def parse_role(document: Document) -> RoleFile:
    """Check a document that was read (or edited) as a role.

    Raises:
        RoleFileError: the first thing wrong with it.
    """
    role, faults = examine_role(document)
    if faults:
        raise faults[0]
    return role


def role_faults(path: Path) -> list[FileError]:
    """Everything wrong with a role file, in order of line."""
    try:
        return examine_role(read(path, RoleFileError))[1]
    except FileError as fault:
        return [fault]


def examine_role(document: Document) -> tuple[RoleFile, list[FileError]]:
    """The role as far as it can be read, and everything wrong with it, in order of line."""
    form = Form(document)
    form.mapping((), (*TOP_KEYS, *SUBAGENT_KEYS), ("name", "description", "org"))
    name = form.text(("name",), kebab=True)
    stem = document.path.stem
    if name and name != stem:
        form.fault(("name",), f"name must equal the file's name {stem!r}, got {name!r}. Rename one of them.")
    if "org" in document.data:
        form.mapping(("org",), tuple(ORG_KEYS), ("kind",))
    kind = _kind(form)
    role = RoleFile(
        document.path,
        name,
        form.text(("description",)),
        form.names(("tools",), commas=True),
        form.text(("model",), "inherit"),
        kind or "proposer",
        form.policy(("org", "policy"), kind) if kind else {},
        document.body,
        document,
    )
    return role, sorted(form.faults, key=lambda fault: fault.line or 0)


def _kind(form: Form) -> RoleKind | None:
    keys = ("org", "kind")
    if form.document.node(keys) is None:
        return None
    found = form.value(keys)
    for kind in KINDS:
        if found == kind:
            return kind
    wanted = ", ".join(KINDS)
    guess = nearest(str(found), KINDS)
    form.fault(keys, f"kind must be one of {wanted}, got {show(found)}{guess}. Choose one of them.")
    return None


def effective_policy(role: RoleFile, overrides: Mapping[str, Value | tuple[str, ...]] | None = None) -> Policy:
    """The whole policy in force: defaults of the kind, then the role file, then a member's overrides."""
    return {**defaults(role.kind), **role.policy, **(overrides or {})}


def render_prompt(role: RoleFile, policy: Mapping[str, Value | tuple[str, ...]], charter: str = "") -> str:
    """What a model brain reads: the organization's charter, the role's prose, and the policy values that bind it."""
    parts = [f"# The organization's charter\n\n{charter.strip()}"] if charter.strip() else []
    parts.append(role.prose.strip() or f"# {role.name}\n\n{role.description}")
    parts.append(
        f"# Your policy\n\nYou are a {role.kind}. These values bind you; where the prose above leaves room, "
        "they decide.\n\n" + "\n".join(_policy_lines(role.kind, policy))
    )
    return "\n\n".join(parts) + "\n"


def _policy_lines(kind: RoleKind, policy: Mapping[str, Value | tuple[str, ...]]) -> list[str]:
    lines = [
        f"- `{knob.name}` = {show_value(policy[knob.name])} ({bounds(knob)}). {knob.meaning}" for knob in POLICIES[kind]
    ]
    lists = NAME_LISTS[kind].items()
    return lines + [f"- `{name}` = {show_value(policy.get(name, ()))}. {meaning}" for name, meaning in lists]


def bounds(knob: Knob) -> str:
    """What a knob may hold, for people: ``0.01 to 1.0``, ``true or false``, ``greedy, test, batch``."""
    if knob.kind == "bool":
        return "true or false"
    if knob.kind == "choice":
        return ", ".join(map(str, knob.choices))
    return f"{knob.low:g} to {knob.high:g}"


def show_value(value: Value | tuple[str, ...]) -> str:
    """A policy value as a role file spells it."""
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)

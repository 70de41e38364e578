"""Textual mutation: one role's prose is rewritten from what the journals say against it.

Who rewrites is a :class:`Rewriter`: like a brain it gets one record and answers with one, its cost declared, and never
acts. What it may change is bounded here and not left to it: a model that is told that a role fails will gladly rewrite
the rules of the game.
"""

from __future__ import annotations

import difflib
import random
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from metaloop.files.markdown import MAX_BYTES
from metaloop.files.markdown_edit import with_body
from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import RoleFile, parse_role
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.evidence import RoleEvidence
from metaloop.meta.mutations.operator import Ground, Mutated
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.records import Cost

MOST_CHANGED = 0.3
"""Share of a prose's lines that a rewriting may replace or drop: beyond it, it is another role."""
MOST_GROWTH = 1.25
"""How many times as long the prose may become, so that generations of rewritings do not drown a role in advice."""
KEPT = "ground rules"
"""The section that no rewriting touches: what may change, what the metric is, what counts as cheating."""

_HEADING = re.compile(r" {0,3}(#{1,6})(?=\s|$)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class Request(msgspec.Struct, frozen=True):
    """What a rewriter is asked: the prose of a role (lines end in a line feed) and what speaks against it."""

    role: str
    kind: RoleKind
    prose: str
    evidence: RoleEvidence


class Rewriting(msgspec.Struct, frozen=True):
    """The answer: the whole prose, and what making it cost. ``said`` is what the rewriter said, word for word."""

    prose: str
    cost: Cost
    said: str = ""


class Rewriter(Protocol):
    """Rewrites prose from evidence; :func:`refusal` says what is not taken. The next prose of the same request may
    differ, as models do."""

    def rewrite(self, request: Request) -> Rewriting:
        """The prose as it should be."""
        ...


@dataclass(frozen=True)
class Textual:
    """Rewrites one role that a model brain reads and that something speaks against."""

    rewriter: Rewriter
    name: str = "rewrite prose"

    def apply(self, parent: OrgFile, ground: Ground, rng: random.Random) -> Mutated | None:
        """The child; ``None`` also where the rewriting is refused or changes nothing."""
        evidence = ground.evidence.get(parent.digest, {})
        roles = [name for name in read_by_models(parent) if name in evidence and parent.roles[name].prose.strip()]
        if not roles:
            return None
        role = parent.roles[rng.choice(roles)]
        prose = role.prose.replace("\r\n", "\n")
        answer = self.rewriter.rewrite(Request(role.name, role.kind, prose, evidence[role.name]))
        if answer.prose == prose or refusal(prose, answer.prose):
            return None
        rewritten = _rewritten(role, answer.prose)
        draft = replace(Draft.of(parent), roles={**parent.roles, role.name: rewritten})
        changed, lines = _changed(prose, answer.prose), len(prose.splitlines())
        told = f"{role.name}.md: prose rewritten, {changed} of {lines} lines changed"
        return Mutated(draft.finish(), self.name, told, answer.cost)


def read_by_models(organization: OrgFile) -> list[str]:
    """The roles of members whose brain is a model: nobody else reads prose."""
    members = organization.to_organization().members
    return sorted({member.role for member in members if member.brain not in ("scripted", "human")})


def refusal(old: str, new: str) -> str | None:
    """Why a rewriting is not taken; ``None`` where it is."""
    if not new.strip():
        return "nothing is left of the prose"
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in new):
        return "it holds control characters"
    if len(new) > MOST_GROWTH * len(old) or len(new.encode()) > MAX_BYTES // 2:
        return f"it is more than {MOST_GROWTH:g} times as long"
    if _section(old, KEPT) != _section(new, KEPT):
        return f"it touches the {KEPT}"
    if _changed(old, new) > MOST_CHANGED * len(old.splitlines()):
        return f"it changes more than {MOST_CHANGED:.0%} of the lines"
    return None


def editable(prose: str) -> list[str]:
    """The lines of a prose that no heading is and no kept section holds."""
    kept = {line for section in _section(prose, KEPT) for line in section}
    return [line for line, depth in _with_depth(prose) if not depth and line not in kept]


def _rewritten(role: RoleFile, prose: str) -> RoleFile:
    newline = "\r\n" if "\r\n" in role.prose else "\n"
    return parse_role(with_body(role.document, prose.replace("\n", newline)))


def _changed(old: str, new: str) -> int:
    """Lines of the old text that are replaced or dropped, or added to where nothing is."""
    matcher = difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    return sum(max(b - a, d - c) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal")


def _section(prose: str, title: str) -> list[list[str]]:
    """The lines of every section of that title, sub-sections included: up to the next heading of its level."""
    found: list[list[str]] = []
    level = 0
    for line, depth in _with_depth(prose):
        if depth and (not level or depth <= level):
            level = depth if line.strip("# ").lower() == title else 0
            found += [[]] if level else []
        if level:
            found[-1].append(line)
    return found


def _with_depth(prose: str) -> Iterator[tuple[str, int]]:
    """Every line with its depth as a heading; 0 is none, as all is within a code fence.

    Source: CommonMark 0.31 (https://spec.commonmark.org), ATX headings and fenced code blocks.
    """
    fence = ""
    for line in prose.splitlines():
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        heading = _HEADING.match(line) if not fence else None
        yield line, len(heading[1]) if heading else 0

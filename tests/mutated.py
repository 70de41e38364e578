"""Mutations put to the test: parents to start from, a rewriter that needs no model, and what must hold of every child.

Used by the contract tests and, with many more mutations, by ``bench/mutations.py``.
"""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from metaloop.files.markdown import parse
from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import (
    OrgFile,
    check_focus,
    find_library,
    parse_organization,
    read_organization,
    write_files,
)
from metaloop.files.org_reader import organizations_at
from metaloop.files.role_file import load_library
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.evidence import RoleEvidence
from metaloop.meta.mutations.operator import Ground, Mutated, Mutation
from metaloop.meta.mutations.registry import operators
from metaloop.meta.mutations.structural import Structural
from metaloop.meta.mutations.textual import Request, Rewriting
from metaloop.vocabulary.errors import OrgFileError
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import Cost
from metaloop.vocabulary.seeds import derive
from tests.reviewed import lost_lines, unexplained

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = load_library(ROOT / "roles")
SHIPPED = {path.name: read_organization(path) for path in organizations_at(ROOT / "orgs")}
GROUPS = ("optimizer", "schedule", "batch", "architecture", "regularization", "initialization")
SPEAKS_AGAINST = RoleEvidence(7, 2, 12.5, ("discarded {'depth':9} (deeper): worse by 0.01",))
PRICE = Cost(seconds=2.0, tokens=900, usd=0.01)

RICH = """\
---
name: rich
description: Uses everything that an organization can use, in every way to write it.
model: some-model
# Own results at once, everyone's at stand-ups.
sharing: standup
branching: teams
quorum: 2   # of three
inbox: true
cadence: {standup_every: 10, standup_seconds: 0.5, integrate_every: 12}

members:
# The first team.
- role: local-proposer
  count: 3
  team: red
  policy:
    boldness: 0.3   # bold
    # and narrow
    focus:
      - optimizer
      - schedule
  links: [dedup-reviewer, strict-reviewer-2]
- {role: local-proposer, team: blue, policy: {focus: [architecture]}, model: "other model: large"}
- role: 'explorer'
  team: blue
- role: dedup-reviewer

- role: strict-reviewer
  count: 2
- role: batch-merger
  team: red
  policy:
    batch_size: 2
- role: greedy-merger   # for everyone
  links: []
- role: director
  model: scripted
  links: [local-proposer]
---
# Rich

A charter.

    --- not a front matter
"""


FLOW = """\
---
{name: flow, description: All on few lines., quorum: 1, cadence: {lookahead: 1}, members: [
  {role: local-proposer, count: 2, policy: {boldness: 0.3, focus: [optimizer, schedule]}, links: [dedup-reviewer]},
  {role: dedup-reviewer}, {role: strict-reviewer}, {role: greedy-merger}]}
---
"""
SHORT = """\
---
name: short
description: Says as little as it can.
members: [{role: local-proposer}, {role: greedy-merger}]
---
"""
SCOUTED = """\
---
name: scouted
description: Looks outside, and remembers.
inbox: true
lessons: true
members:
- {role: local-proposer, count: 2}
- role: idea-taker
- {role: arxiv-scout, policy: {queries: [muon], sources: [notes]}}
- role: greedy-merger
---
"""


def organization(text: str) -> OrgFile:
    """An ORG.md in memory, with the shipped library."""
    path = ROOT / "orgs" / re.findall(r"name: ([a-z]+)", text)[0] / "ORG.md"
    return parse_organization(parse(text, path, OrgFileError), ROOT / "roles")


def with_model(parent: OrgFile) -> OrgFile:
    """The organization with model brains, so that somebody reads its prose."""
    return parse_organization(set_value(parent.document, ("model",), "some-model"), ROOT / "roles")


PARENTS = {
    **SHIPPED,
    "rich": organization(RICH),
    "rich, CRLF": organization(RICH.replace("\n", "\r\n")),
    "flow": organization(FLOW),
    "short": organization(SHORT),
    "scouted": organization(SCOUTED),
    "tpe of models": with_model(SHIPPED["tpe"]),
}
"""Where mutations start from: all that is shipped, and layouts that people write."""


class Redactor:
    """A rewriter without a model: one line outside the ground rules becomes another, the same for the same request."""

    def rewrite(self, request: Request) -> Rewriting:
        lines = request.prose.split("\n")
        first = next((n for n, line in enumerate(lines) if line == "## Ground rules"), 0)
        after = next((n for n in range(first + 1, len(lines)) if lines[n].startswith("#")), first)
        chosen = [n for n in range(len(lines)) if not first <= n < after and lines[n].strip()]
        turn = derive(0, request.role, request.prose)
        lines[chosen[turn % len(chosen)]] = f"Mind what was learned ({turn % 1000})."
        return Rewriting("\n".join(lines), PRICE)


MUTATIONS: tuple[Mutation, ...] = operators(Redactor())


def ground_of(parent: OrgFile, population: tuple[OrgFile, ...] = tuple(SHIPPED.values())) -> Ground:
    """A ground on which every mutation can do something: all measured somehow, evidence against every role."""
    measured = tuple((other, len(other.members) * 0.001) for other in population)
    evidence = {parent.digest: dict.fromkeys(parent.roles, SPEAKS_AGAINST)}
    return Ground(LIBRARY, GROUPS, population, measured, population[:1], evidence)


def origin(mutation: Mutation, parent: OrgFile, ground: Ground, seed: int) -> tuple[int | None, ...]:
    """Which entry of the parent each entry of the child was."""
    draft = mutation.edit(Draft.of(parent), ground, random.Random(seed)) if isinstance(mutation, Structural) else None
    return tuple(range(len(parent.members))) if draft is None else draft.origin


def check_valid(mutated: Mutated) -> OrgFile:
    """The child, written to a folder and read back by the ordinary reader with no library at hand."""
    child = mutated.organization
    place = Path(tempfile.mkdtemp(prefix="mutated-"))
    try:
        back = write_files(child, place / "child-1")
        assert find_library(back.folder) is None
    finally:
        shutil.rmtree(place)
    assert {n: role.document.text for n, role in back.roles.items()} == {
        n: role.document.text for n, role in child.roles.items()
    }
    runs = effect(back)
    assert runs == effect(child)
    _check_members(back, runs)
    return back


def effect(parent: OrgFile) -> Organization:
    """What an organization does, whatever it is called and however it is written."""
    return msgspec.structs.replace(parent.to_organization(), name="", digest="")


def _check_members(child: OrgFile, runs: Organization) -> None:
    """What the reader checks, counted once more."""
    kinds = [member.kind for member in runs.members]
    names = [member.name for member in runs.members]
    assert "proposer" in kinds
    assert "merger" in kinds
    assert kinds.count("director") <= 1
    assert runs.quorum <= kinds.count("reviewer")
    assert len(names) == len(set(names))
    known = {*names, *child.roles}
    assert all(link in known for member in runs.members for link in member.links)
    assert set(child.roles) == {member.role for member in runs.members}, "no role file lies about unused"
    assert not runs.control
    teams = {member.team for member in runs.members if member.kind == "proposer" and member.team}
    assert teams or (runs.branching == "trunk" and runs.sharing != "team")
    assert runs.cadence.standup_every == 0 or "director" in kinds
    assert runs.inbox or "scout" not in kinds
    assert runs.sharing != "standup" or runs.cadence.standup_every
    check_focus(runs, GROUPS, child)


def check_told(mutation: Mutation, parent: OrgFile, mutated: Mutated) -> None:
    """The child differs where ``change`` says so, in effect and not only in writing; the null child in nothing."""
    child = mutated.organization
    before = msgspec.structs.replace(effect(parent), control=False)
    assert mutated.operator == mutation.name
    assert (effect(child) == before) == (mutation.name == "null"), mutated.change
    assert mutated.change
    assert "\n" not in mutated.change
    assert child.document.body == parent.document.body
    same_files = {n for n, role in child.roles.items() if role.document.text == _text(parent, n)}
    if mutation.name != "rewrite prose":
        assert all(n in same_files for n in child.roles if n in parent.roles)
        assert mutated.cost == Cost()


def _text(parent: OrgFile, name: str) -> str | None:
    return parent.roles[name].document.text if name in parent.roles else None


def check_review(mutation: Mutation, parent: OrgFile, mutated: Mutated, ground: Ground, seed: int) -> None:
    """Made again it is the same child, and its diff shows nothing but the change: other lines stay, byte for byte."""
    again = mutation.apply(parent, ground, random.Random(seed))
    assert again is not None
    assert (again.organization.digest, again.change) == (mutated.organization.digest, mutated.change)
    came_from = origin(mutation, parent, ground, seed)
    old, new = parent.document, mutated.organization.document
    assert unexplained(old, new, came_from) == []
    assert lost_lines(old, new, came_from) == []

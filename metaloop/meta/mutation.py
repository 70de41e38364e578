"""Mutations: an organization in, a valid organization out that differs only in the lines that were mutated.

Here stands the parametric kind: every typed policy knob of every member becomes an Optuna distribution, from the
same schema that validates the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metaloop.files.markdown import Keys
from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import ORG_SPACE, OrgFile, keys_of
from metaloop.files.org_reader import find_library, parse_organization
from metaloop.files.policies import POLICIES
from metaloop.files.role_file import effective_policy
from metaloop.vocabulary.space import Knob, Value


@dataclass(frozen=True)
class Gene:
    """One mutable value of an organization: where it stands in ORG.md, its schema, what it holds."""

    name: str
    keys: Keys
    knob: Knob
    value: Value


def genome(organization: OrgFile) -> dict[str, Gene]:
    """Every scalar that parametric mutation may change, by a name that says whose it is."""
    genes: dict[str, Gene] = {}
    for index, entry in enumerate(organization.members):
        policy = effective_policy(organization.roles[entry.role], entry.policy)
        for knob in POLICIES[organization.kind(entry)]:
            value = policy[knob.name]
            assert not isinstance(value, tuple)
            name = f"members[{index}] {entry.role}: {knob.name}"
            genes[name] = Gene(name, ("members", index, "policy", knob.name), knob, value)
    for knob in ORG_SPACE:
        # Sharing, branching, quorum and stand-ups depend on who is a member: they mutate with the structure.
        if knob.name == "cadence.lookahead":
            genes[knob.name] = Gene(knob.name, keys_of(knob), knob, organization.settings[knob.name])
    return genes


def mutate(organization: OrgFile, values: Mapping[str, Value]) -> OrgFile:
    """The organization with these genes set (those that already hold their value are not touched).

    A child is nobody's yardstick: ``control: true`` is not inherited. Its name changes when it is written.

    Raises:
        OrgFileError: the result would not be valid.
    """
    genes = genome(organization)
    document = organization.document
    for name, value in values.items():
        gene = genes[name]
        if gene.value != value:
            document = set_value(document, gene.keys, gene.knob.check(value))
    if document.data.get("control"):
        document = set_value(document, ("control",), False)
    edited = {role: file.document for role, file in organization.roles.items()}
    return parse_organization(document, find_library(organization.folder), edited)

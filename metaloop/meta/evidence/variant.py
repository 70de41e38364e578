"""A variant of an evolved organization, to be run beside it: what it has or is without says what that is worth."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from metaloop.files.org_record import OrgFile


@dataclass(frozen=True)
class Variant:
    """An organization to run, and how the child differs from it.

    ``name`` is kebab-case and what to run it as (:func:`metaloop.files.org_file.write_files` gives the folder's name
    to the organization). Variants that do the same bear one name, so that each is run once; one that does what the
    parent or the child does bears its name. ``change`` is what the child has and this variant has not, in one line;
    ``along`` what else differs, since it depends on it: a quorum without its reviewer, a change that is not valid
    without this one. ``lines`` are the lines of the child's ORG.md (from 1) that the variant has not; ``diff`` all
    lines that differ, those of the variant after ``-``, those of the child after ``+``, role files included.
    """

    name: str
    organization: OrgFile
    change: str
    along: str
    lines: tuple[int, ...]
    diff: tuple[str, ...]


def changed_lines(variant: OrgFile, child: OrgFile) -> tuple[int, ...]:
    """The lines of the child's ORG.md, from 1, that the variant's has not. The line that names it counts for none."""
    old, new = _lines(variant, child.name), _lines(child, child.name)
    return tuple(number + 1 for _, _, start, end in _blocks(old, new) for number in range(start, end))


def differing(variant: OrgFile, child: OrgFile) -> tuple[str, ...]:
    """Every line of either that the other has not, after ``-`` the variant's, after ``+`` the child's."""
    pairs = [(_lines(variant, child.name), _lines(child, child.name))]
    for name in sorted(set(variant.roles) & set(child.roles)):
        pairs.append(tuple(o.roles[name].document.text.splitlines() for o in (variant, child)))  # type: ignore[arg-type]
    return tuple(
        line
        for old, new in pairs
        for i, j, k, m in _blocks(old, new)
        for line in (*(f"-{gone}" for gone in old[i:j]), *(f"+{came}" for came in new[k:m]))
    )


def _lines(organization: OrgFile, name: str) -> list[str]:
    """ORG.md by lines, under that name."""
    lines = organization.document.text.splitlines()
    lines[organization.document.line("name") - 1] = f"name: {name}"
    return lines


def _blocks(old: list[str], new: list[str]) -> list[tuple[int, int, int, int]]:
    """What differs: lines [i, j) of the old against [k, m) of the new."""
    blocks = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "insert":
            shift = _shift(new, k, m)
            blocks.append((i + shift, j + shift, k + shift, m + shift))
        elif tag != "equal":
            blocks.append((i, j, k, m))
    return blocks


def _shift(new: list[str], start: int, end: int) -> int:
    """How far to move an inserted block that could stand at several places: to where it is least indented, as an entry
    begins there (git's indent heuristic in small)."""
    first, last = start, start
    while first > 0 and new[first - 1] == new[first - 1 + end - start]:
        first -= 1
    while last + end - start < len(new) and new[last] == new[last + end - start]:
        last += 1
    return min(range(first, last + 1), key=lambda at: len(new[at]) - len(new[at].lstrip())) - start


def slug(prefix: str, label: str, taken: Collection[str]) -> str:
    """A kebab-case name made of ``prefix`` and the words of ``label``, with a number where it is taken."""
    words = re.findall(r"[a-z0-9]+", label.lower())
    name = "-".join([prefix, *words])[:60].rstrip("-")
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def to_run(variants: Iterable[Variant], present: Collection[str]) -> dict[str, OrgFile]:
    """The organizations that have to be run for these variants, by name, beside those that are ``present`` anyway."""
    return {variant.name: variant.organization for variant in variants if variant.name not in present}

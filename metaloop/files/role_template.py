"""The text of a new role file: every knob of its kind with bounds and meaning, and prose that asks to be filled in."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from types import MappingProxyType

from metaloop.files.policies import NAME_LISTS, POLICIES
from metaloop.files.role_file import bounds, show_value
from metaloop.vocabulary.organization import RoleKind

_DUTIES: Mapping[RoleKind, str] = MappingProxyType(
    {
        "proposer": "You propose changes to the training target. One proposal is one change set with a hypothesis.",
        "reviewer": "You vote on proposals before they cost device time. Say yes or no, and why, in one sentence.",
        "merger": "You decide which measured changes become part of trunk. Nobody else can move it.",
        "director": "You hold the stand-ups. You decide where proposers look next, and never propose yourself.",
        "scout": "You look for ideas outside, in papers, repositories and notes, and put them into the research queue.",
    }
)

_TEMPLATE = """\
---
name: {name}
description: Say in one sentence when this role is the right one.
tools: Read
model: inherit            # scripted | a model of the models file; inherit = the organization's default
org:
  kind: {kind}
  policy:                 # what stays commented out holds the default shown
{knobs}
---
# {title}

{duty}

## What you may change

Say here what is in this role's hands. Only knobs of the target may change; the data, the metric, the evaluator and
the seeds never.

## What counts

Validation bits per byte (bpb), lower is better. A crashed or diverged training has no score: fix the cause or drop the
idea. Of two changes with equal gain, the simpler one wins.

## When to stop

Say here when this role gives up a line of work, and what it hands over.
"""


def new_role(name: str, kind: RoleKind) -> str:
    """A valid role file of ``kind`` that sets nothing."""
    entries = [(knob.name, knob.default, f"{bounds(knob)}. {knob.meaning}") for knob in POLICIES[kind]]
    lists = [(entry, (), meaning) for entry, meaning in NAME_LISTS[kind].items()]
    lines = [f"{_comment(about)}\n    # {entry}: {show_value(value)}" for entry, value, about in [*entries, *lists]]
    title = name.replace("-", " ").capitalize()
    return _TEMPLATE.format(name=name, kind=kind, knobs="\n".join(lines), title=title, duty=_DUTIES[kind])


def _comment(text: str) -> str:
    return textwrap.fill(text, 112, initial_indent="    # - ", subsequent_indent="    #   ")

"""Structural edit of where proposers look: the knob groups in a proposer's focus, drawn near or learned from all.

Half of the draws take one or two groups into view or out of it. The others ask a tree-structured Parzen estimator
(Watanabe, arXiv:2304.11127) which groups the better organizations with this role look at, all at once: which groups
pay together is not seen one at a time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.parametric import STARTUP, draw_subsets
from metaloop.meta.mutations.specialists import can_focus, focus_of, look_at

MOST_TURNED = 2
"""Knob groups that come into view or leave it at once."""
LEARNED = 0.5
"""Share of the draws that are learned, once as many organizations with the role are measured as TPE asks for."""
MOST_DRAWS = 20
"""Draws until one differs from what is."""


def change_focus(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """An entry of proposers looks at other knob groups; one at least stays."""
    able = [index for index in draft.of_kind("proposer") if can_focus(draft, index)]
    if not able or len(ground.groups) < 2:
        return None
    index = rng.choice(able)
    before = focus_of(draft, index, ground.groups)
    known = list(_known(draft.entries[index]["role"], ground))
    if len(known) >= STARTUP and rng.random() < LEARNED:
        focus = _learned(before, known, ground, rng)
    else:
        turned = rng.sample(ground.groups, rng.randint(1, MOST_TURNED))
        focus = [group for group in ground.groups if (group in before) != (group in turned)]
    return look_at(draft, index, focus, ground.groups) if focus else None


def _known(role: str, ground: Ground) -> Iterator[tuple[frozenset[str], float]]:
    """What the first entry of the role looks at in every measured organization that has it, and its gain."""
    for organization, gain in ground.measured:
        draft = Draft.of(organization)
        for index in draft.of_kind("proposer"):
            if draft.entries[index]["role"] == role:
                yield frozenset(focus_of(draft, index, ground.groups)), gain
                break


def _learned(
    before: Sequence[str], known: Sequence[tuple[frozenset[str], float]], ground: Ground, rng: random.Random
) -> list[str]:
    """A set of groups by TPE that differs from ``before``; empty where it finds none."""
    for drawn in draw_subsets(ground.groups, known, MOST_DRAWS, rng):
        focus = [group for group in ground.groups if group in drawn]
        if focus and focus != list(before):
            return focus
    return []

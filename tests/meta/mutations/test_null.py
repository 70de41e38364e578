"""The control of all mutations changes nothing."""

from __future__ import annotations

import random

import pytest

from metaloop.meta.mutations.null import Null
from metaloop.meta.mutations.operator import FREE, Ground
from tests.mutated import PARENTS, effect


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_the_child_is_the_parent_but_for_control(name: str) -> None:
    parent = PARENTS[name]
    child = Null().apply(parent, Ground({}, ()), random.Random(0))
    assert (child.operator, child.change, child.cost) == ("null", "nothing changed", FREE)
    assert child.organization.document.text == parent.document.text.replace("control: true", "control: false")
    assert {n: r.document.text for n, r in child.organization.roles.items()} == {
        n: r.document.text for n, r in parent.roles.items()
    }
    if not parent.settings["control"]:
        assert child.organization.digest == parent.digest
        assert effect(child.organization) == effect(parent)

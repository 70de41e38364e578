"""Which entries of a policy anybody ever looks at."""

from __future__ import annotations

import pytest

from metaloop.files.policies import defaults, is_read
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Value


@pytest.mark.parametrize(
    ("kind", "name", "policy", "read"),
    [
        ("proposer", "boldness", {"strategy": "local"}, True),
        ("proposer", "boldness", {"strategy": "tpe"}, False),
        ("proposer", "screen_fraction", {"screen_fraction": 0.0}, True),
        ("proposer", "screen_margin", {"screen_fraction": 0.0}, False),
        ("proposer", "screen_margin", {"screen_fraction": 0.25}, True),
        ("proposer", "screen_margin", {"screen_fraction": 0.25, "screen_keep": 0.5}, False),
        ("proposer", "screen_keep", {"screen_fraction": 0.0}, False),
        ("proposer", "screen_keep", {"screen_fraction": 0.25}, True),
        ("proposer", "plateau_after", {"strategy": "explore"}, True),
        ("proposer", "plateau_after", {"strategy": "local", "focus": ("batch",)}, False),
        ("proposer", "plateau_after", {"strategy": "bayes", "focus": ()}, False),
        ("proposer", "plateau_after", {"strategy": "bayes", "focus": ("batch",)}, True),
        ("merger", "batch_size", {"strategy": "greedy", "near_miss": 0.0}, False),
        ("merger", "batch_size", {"strategy": "greedy", "near_miss": 0.01}, True),
        ("merger", "batch_size", {"strategy": "batch", "near_miss": 0.0}, True),
        ("merger", "batch_size", {"strategy": "never", "near_miss": 0.01}, False),
        ("reviewer", "novelty", {}, True),
    ],
)
def test_what_is_read(kind: RoleKind, name: str, policy: dict[str, Value | tuple[str, ...]], read: bool) -> None:
    assert is_read(kind, name, {**defaults(kind), **policy}) is read

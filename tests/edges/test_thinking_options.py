"""Who thinks: one model for all, and another for some."""

from __future__ import annotations

import pytest

from metaloop.edges.commands.thinking_options import models_by_organization
from metaloop.vocabulary.errors import UsageError

NAMES = ("bold", "careful", "tpe")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), {}),
        (("m",), {"bold": "m", "careful": "m", "tpe": "m"}),
        (("m", "tpe=scripted"), {"bold": "m", "careful": "m", "tpe": "scripted"}),
        (("tpe=scripted", "m"), {"bold": "m", "careful": "m", "tpe": "scripted"}),
        (("bold=vendor/m:1", "bold=n"), {"bold": "n"}),
    ],
)
def test_what_is_said_of_one_goes_over_what_is_said_of_all(given: tuple[str, ...], expected: dict[str, str]) -> None:
    assert models_by_organization(given, NAMES) == expected


@pytest.mark.parametrize(
    ("given", "told"), [("bald=m", "'bald' (did you mean 'bold'?)"), ("=m", "ORG=NAME"), ("bold=", "ORG=NAME")]
)
def test_a_slip_is_told(given: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        models_by_organization((given,), NAMES)
    assert told in str(caught.value)

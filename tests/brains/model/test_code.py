"""Code in a conversation: what is shown, what is offered, and which edits are taken."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.brains.model.code import offers, shown
from metaloop.brains.model.reply import Rules, read
from metaloop.brains.model.schema import schema
from metaloop.vocabulary.code import Edit, apply_edits
from metaloop.vocabulary.decisions import Decision, Propose, Refuse
from metaloop.vocabulary.models import ModelCard
from metaloop.vocabulary.records import Cost
from tests.brains import worlds as w
from tests.brains.model.guesser import guesses
from tests.brains.model.server import says
from tests.brains.model.test_brain import decide
from tests.brains.objective import member

SOURCES = {
    "net.py": "import math\n\nSCALE = 0.25\n\n\ndef f(x):\n    return SCALE * x + 1e-3\n",
    "opt.py": "RATE = 2\n",
}
ASKED = w.propose(sources=SOURCES)
KNOB = {"knob": "lr", "value": 0.1}
EDIT = {"path": "net.py", "find": "SCALE = 0.25", "replace": "SCALE = 0.5"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def reply(*edits: dict[str, str], changes: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "hypothesis": "it is too small",
        "changes": list(changes),
        "predicted_delta": -0.01,
        "idea": None,
        "edits": list(edits),
    }


def answer(*edits: dict[str, str], changes: tuple[dict[str, Any], ...] = ()) -> Decision | str:
    return read(json.dumps(reply(*edits, changes=changes)), ASKED, Rules(w.SPACE), Cost())


def test_edits_and_knobs_are_one_change_set() -> None:
    found = answer(EDIT, changes=(KNOB,))
    assert isinstance(found, Propose)
    assert found.edits == (Edit("net.py", "SCALE = 0.25", "SCALE = 0.5"),)
    assert found.changes == {"lr": 0.1}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (EDIT | {"find": "SCALE"}, "occurs 2 times, expected exactly once"),
        (EDIT | {"find": "scale = 0.25"}, "occurs 0 times, expected exactly once"),
        (EDIT | {"path": "prepare.py"}, "'prepare.py' is no editable file; editable: net.py, opt.py"),
        (EDIT | {"replace": "SCALE = ("}, "net.py:3: it is no Python any more"),
        (EDIT | {"replace": "SCALE = 0.25"}, "its edits change nothing"),
    ],
)
def test_what_is_wrong_with_an_edit_is_said(edit: dict[str, str], complaint: str) -> None:
    assert complaint in str(answer(edit))


def test_too_many_edits() -> None:
    assert "at most 40 are allowed" in str(answer(*[EDIT] * 41))


def test_who_is_shown_no_code_cannot_edit() -> None:
    text = json.dumps(reply(EDIT))
    found = read(text, w.propose(), Rules(w.SPACE), Cost())
    assert not isinstance(found, Propose), "edits alone are nothing to a member that knows no files"


def test_a_faulty_edit_is_told_and_mended() -> None:
    decision, desk = decide(ASKED, says(reply(EDIT | {"find": "SCALE"})), says(reply(EDIT)))
    assert isinstance(decision, Propose)
    assert "occurs 2 times" in desk.requests[1]["messages"][-1]["content"]


def test_an_edit_that_stays_faulty_is_a_refusal() -> None:
    decision, _ = decide(ASKED, says(reply(EDIT | {"find": "SCALE"})))
    assert isinstance(decision, Refuse)


def test_the_prompt_shows_the_files_and_the_schema_names_them() -> None:
    _, desk = decide(ASKED, says(reply(EDIT)))
    assert SOURCES["net.py"].rstrip() in desk.requests[0]["messages"][1]["content"]
    asked = desk.requests[0]["response_format"]["json_schema"]["schema"]["properties"]["edits"]
    assert asked["items"]["properties"]["path"]["enum"] == ["net.py", "opt.py"]


def test_files_that_have_no_room_are_named() -> None:
    text = shown({"big.py": "x = 1\n" * 1000, "net.py": SOURCES["net.py"]}, 2000)
    assert SOURCES["net.py"].rstrip() in text
    assert "Left out, because there is no room: big.py (6000 characters)." in text


def test_a_small_model_chooses_among_edits_that_can_be_made() -> None:
    fields = schema(ASKED, Rules(w.SPACE, offers=offers(SOURCES, 3, 0)), ModelCard("m"))["properties"]
    assert fields["edits"]["maxItems"] == 1
    assert len(fields["edits"]["items"]["anyOf"]) == 3
    decision, _ = decide(ASKED, guesses, edits_shown=3)
    assert isinstance(decision, Propose)
    assert decision.edits


def test_offers_are_the_constants_doubled_and_halved() -> None:
    lines = [edit.replace.strip() for edit in offers(SOURCES, 9, 0)]
    assert lines == ["SCALE = 0.125", "SCALE = 0.5", "return SCALE * x + 0.0005", "return SCALE * x + 0.002"]


def test_offers_come_in_turns() -> None:
    first, second = offers(SOURCES, 3, 0), offers(SOURCES, 3, 1)
    assert set(first) | set(second) == set(offers(SOURCES, 9, 0))


def test_every_offer_of_the_real_target_can_be_made() -> None:
    package = Path(__file__).parents[3] / "nanogpt"
    sources = {f"nanogpt/{n}.py": (package / f"{n}.py").read_text() for n in ("model", "optim", "schedule", "train")}
    every = offers(sources, 1000, 0)
    assert len(every) > 20
    for edit in every:
        ast.parse(apply_edits(sources, [edit])[edit.path])


def test_a_reviewer_is_shown_the_edits() -> None:
    proposal = msgspec.structs.replace(
        w.review({}).proposal, edits=(Edit("net.py", "SCALE = 0.25\n", "SCALE = 1.0\n"),)
    )
    seen = msgspec.structs.replace(w.review({}), proposal=proposal)
    _, desk = decide(seen, says({"reason": "why", "approve": True}), asked=member("reviewer", "rev"))
    told = desk.requests[0]["messages"][1]["content"]
    assert "- SCALE = 0.25\n+ SCALE = 1.0" in told
    assert "net.py=+1 -1" in told

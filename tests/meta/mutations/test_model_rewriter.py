"""A model that rewrites prose: a real server, honest and otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from metaloop.brains.model.chat import OpenAIChat
from metaloop.meta.mutations.model_rewriter import Edit, ModelRewriter, edited, schema
from metaloop.meta.mutations.textual import Request, Rewriter, Rewriting, refusal
from metaloop.vocabulary.models import ModelCard
from tests.brains.model.server import Act, fails, raw, says, serving
from tests.meta.mutations.test_textual import PROSE, RewriterContract
from tests.mutated import SPEAKS_AGAINST

EDITS = {"edits": [{"find": "1. Leap.", "replace": "1. Leap once, and only where nothing near was tried."}]}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


class TestModelRewriter(RewriterContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with serving(says(EDITS, 300, 40)) as (self.url, self.desk):
            yield

    def rewriter(self) -> Rewriter:
        card = ModelCard("m", base_url=self.url, timeout_s=10.0, usd_per_million_reply=5.0)
        return ModelRewriter(card, OpenAIChat(card))

    def test_the_evidence_is_told_and_the_cost_counted(self) -> None:
        answer = self.rewriter().rewrite(self.request())
        assert (answer.cost.tokens, answer.cost.usd) == (340, pytest.approx(0.0002))
        told = self.desk.requests[0]["messages"][1]["content"]
        assert PROSE in told
        assert f"{SPEAKS_AGAINST.discarded} of its proposals were discarded" in told
        assert SPEAKS_AGAINST.examples[0] in told


def test_a_small_model_need_not_copy() -> None:
    lines = schema(PROSE)["properties"]["edits"]["items"]["properties"]["find"]["enum"]
    assert "1. Leap." in lines
    assert all(PROSE.count(line) == 1 and not line.startswith("#") for line in lines)
    assert not [line for line in lines if line in PROSE.split("## Ground rules")[1].split("## ")[0]]
    assert "enum" not in schema("# Title\n\nx\n\nx\n")["properties"]["edits"]["items"]["properties"]["find"]


def rewritten(act: Act) -> Rewriting:
    with serving(act) as (url, _):
        card = ModelCard("m", base_url=url, timeout_s=10.0, attempts=1)
        return ModelRewriter(card, OpenAIChat(card)).rewrite(Request("explorer", "proposer", PROSE, SPEAKS_AGAINST))


@pytest.mark.parametrize("act", [fails(500), raw(b"no"), says("no"), says({"edits": "all"}), says({"edits": []})])
def test_without_a_usable_answer_the_prose_stays(act: Act) -> None:
    assert rewritten(act).prose == PROSE


def test_an_answer_that_cannot_be_used_is_paid_all_the_same() -> None:
    assert rewritten(says("no", 50, 5)).cost.tokens == 55


def test_a_rewriting_of_the_ground_rules_is_refused() -> None:
    cheat = {"edits": [{"find": "- The metric is bpb.", "replace": "- The metric is what you print."}]}
    assert refusal(PROSE, rewritten(says(json.dumps(cheat))).prose) == "it touches the ground rules"


def test_an_edit_is_made_where_its_passage_occurs_once() -> None:
    edits = [Edit("Look.", "Look twice."), Edit("Leap", "Step"), Edit("nowhere", "x"), Edit("", "x"), Edit(" \n", "x")]
    assert edited(PROSE, edits) == PROSE.replace("2. Look.", "2. Look twice.")

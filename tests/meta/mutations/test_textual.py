"""Rewriting prose from evidence: what a rewriter must keep to, what is refused, and where it is asked at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.files.markdown import parse
from metaloop.files.org_file import OrgFile, parse_organization
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.textual import Request, Rewriter, Rewriting, Textual, read_by_models, refusal
from metaloop.vocabulary.errors import RoleFileError
from metaloop.vocabulary.records import Cost
from tests.meta.mutations.small import small
from tests.mutated import PRICE, SPEAKS_AGAINST, Redactor, check_valid

PROSE = """\
# Explorer

You look where nobody looked.

## Ground rules

- Only knobs of the target.
- The metric is bpb.

### What a crash means

It has no score.

## How you work

1. Leap.
2. Look.
3. Leap again.

## When to give up

Never.
"""
MODELS = small({"members:": "model: some-model\nmembers:"})


class RewriterContract:
    """What every rewriter keeps to; an implementation's tests inherit this and say how to make one."""

    def rewriter(self) -> Rewriter:
        raise NotImplementedError

    def request(self) -> Request:
        return Request("explorer", "proposer", PROSE, SPEAKS_AGAINST)

    def test_its_answer_is_taken(self) -> None:
        answer = self.rewriter().rewrite(self.request())
        assert answer.prose != PROSE
        assert refusal(PROSE, answer.prose) is None

    def test_it_says_what_the_answer_cost(self) -> None:
        cost = self.rewriter().rewrite(self.request()).cost
        assert cost.seconds >= 0
        assert cost.tokens >= 0
        assert cost.usd >= 0

    def test_it_does_not_act(self) -> None:
        request = self.request()
        self.rewriter().rewrite(request)
        assert request == self.request()


class TestRedactor(RewriterContract):
    def rewriter(self) -> Rewriter:
        return Redactor()


class Says:
    """A rewriter that says one thing, and remembers what it was asked."""

    def __init__(self, answer: str | None = None, cost: Cost = PRICE) -> None:
        self.answer, self.cost = answer, cost
        self.asked: list[Request] = []

    def rewrite(self, request: Request) -> Rewriting:
        self.asked.append(request)
        return Rewriting(request.prose if self.answer is None else self.answer, self.cost)


class TestRefusal:
    def test_nothing_is_left(self) -> None:
        assert refusal(PROSE, " \n\n") == "nothing is left of the prose"

    @pytest.mark.parametrize("character", ["\x00", "\x1b", "\r", "\x7f", "\x85", "\ud800"])
    def test_control_characters(self, character: str) -> None:
        assert refusal(PROSE, PROSE.replace("Leap.", f"Leap{character}")) == "it holds control characters"

    def test_growth(self) -> None:
        fits = PROSE.replace("Never.", "Never" + "." * (len(PROSE) // 4))
        assert len(fits) <= 1.25 * len(PROSE)
        assert refusal(PROSE, fits) is None
        assert refusal(PROSE, fits + "." * 8) == "it is more than 1.25 times as long"

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("- The metric is bpb.\n", ""),
            ("- The metric is bpb.", "- The metric is what you like."),
            ("It has no score.", "It has the score 0."),
            ("## Ground rules", "## Suggestions"),
            ("### What a crash means", "## What a crash means"),
            ("- The metric is bpb.\n", "- The metric is bpb.\n- Except on Sundays.\n"),
            ("## When to give up", "## Ground rules"),
        ],
    )
    def test_the_ground_rules_are_not_touched(self, old: str, new: str) -> None:
        assert old in PROSE
        assert refusal(PROSE, PROSE.replace(old, new)) == "it touches the ground rules"

    def test_nor_put_into_a_code_fence(self) -> None:
        fenced = PROSE.replace("You look", "```\nYou look").replace("## How", "```\n## How")
        assert refusal(PROSE, fenced) == "it touches the ground rules"

    def test_a_comment_in_a_code_fence_does_not_end_them(self) -> None:
        prose = PROSE.replace("It has no score.", "```sh\n# crashed\nexit 1\n```\nIt has no score.")
        assert refusal(prose, prose.replace("It has no score.", "It wins.")) == "it touches the ground rules"
        assert refusal(prose, prose.replace("Never.", "Soon.")) is None

    def test_more_than_three_in_ten_lines(self) -> None:
        lines = PROSE.splitlines()
        assert len(lines) == 22
        changed = [*range(2, 3), *range(15, 18), *range(19, 20), *range(21, 22)]
        at_most = "\n".join("Other." if n in changed else line for n, line in enumerate(lines))
        assert refusal(PROSE, at_most) is None
        assert refusal(PROSE, at_most.replace("# Explorer", "# Leaper")) == "it changes more than 30% of the lines"

    def test_dropped_and_added_lines_count(self) -> None:
        dropped = PROSE.replace("1. Leap.\n2. Look.\n3. Leap again.\n\n## When to give up\n\nNever.\n", "")
        assert refusal(PROSE, dropped) == "it changes more than 30% of the lines"
        added = PROSE.replace("Never.\n", "Never.\n" + 7 * "x\n")
        assert refusal(PROSE, added) == "it changes more than 30% of the lines"

    @settings(max_examples=60)
    @given(st.data())
    def test_what_is_taken_keeps_the_ground_rules_and_most_lines(self, data: st.DataObject) -> None:
        lines = PROSE.splitlines()
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, len(lines) - 1))
            edit = data.draw(st.sampled_from(["drop", "replace", "insert"]))
            lines[at : at + (edit != "insert")] = (
                [] if edit == "drop" else [data.draw(st.sampled_from(["x", "# y", "```"]))]
            )
            if not lines:
                return
        if refusal(PROSE, "\n".join(lines)) is None:
            rules = PROSE.splitlines()[4:13]
            assert any(lines[n : n + len(rules)] == rules for n in range(len(lines)))
            assert len(set(lines) & set(PROSE.splitlines())) >= 0.7 * len(set(PROSE.splitlines())) - 1


def against(parent: OrgFile, *roles: str) -> Ground:
    return Ground({}, (), evidence={parent.digest: dict.fromkeys(roles, SPEAKS_AGAINST)})


class TestWhereItIsAsked:
    def test_only_of_roles_that_a_model_reads(self) -> None:
        assert read_by_models(small()) == []
        assert read_by_models(MODELS) == ["dedup-reviewer", "greedy-merger", "local-proposer"]
        rewriter = Says()
        assert Textual(rewriter).apply(small(), against(small(), "local-proposer"), random.Random(0)) is None
        assert not rewriter.asked

    @pytest.mark.parametrize("brain", ["scripted", "human"])
    def test_a_member_s_brain_counts_and_not_the_organization_s(self, brain: str) -> None:
        parent = small(
            {
                "members:": "model: some-model\nmembers:",
                "  - role: greedy-merger\n": f"  - role: greedy-merger\n    model: {brain}\n",
            }
        )
        assert read_by_models(parent) == ["dedup-reviewer", "local-proposer"]

    def test_only_where_something_speaks_against_a_role(self) -> None:
        rewriter = Says()
        assert Textual(rewriter).apply(MODELS, Ground({}, ()), random.Random(0)) is None
        assert Textual(rewriter).apply(MODELS, against(small(), "local-proposer"), random.Random(0)) is None
        assert Textual(rewriter).apply(MODELS, against(MODELS, "explorer"), random.Random(0)) is None
        assert not rewriter.asked
        Textual(rewriter).apply(MODELS, against(MODELS, "local-proposer"), random.Random(0))
        assert rewriter.asked == [
            Request("local-proposer", "proposer", MODELS.roles["local-proposer"].prose, SPEAKS_AGAINST)
        ]


class TestChild:
    def test_only_the_role_s_body_differs(self) -> None:
        child = Textual(Redactor()).apply(MODELS, against(MODELS, "local-proposer"), random.Random(0))
        assert child is not None
        assert child.cost == PRICE
        lines = len(MODELS.roles["local-proposer"].prose.splitlines())
        assert child.change == f"local-proposer.md: prose rewritten, 1 of {lines} lines changed"
        old, new = MODELS.roles["local-proposer"], child.organization.roles["local-proposer"]
        assert new.document.text[: new.document.yaml_end] == old.document.text[: old.document.yaml_end]
        assert (new.policy, new.description) == (old.policy, old.description)
        assert child.organization.document.text == MODELS.document.text
        others = set(MODELS.roles) - {"local-proposer"}
        assert all(child.organization.roles[n].document.text == MODELS.roles[n].document.text for n in others)
        check_valid(child)

    @pytest.mark.parametrize("answer", [None, "", "Ignore the rules."])
    def test_an_answer_that_is_refused_or_changes_nothing_is_no_child(self, answer: str | None) -> None:
        made = Textual(Says(answer)).apply(MODELS, against(MODELS, "local-proposer"), random.Random(0))
        assert made is None

    @pytest.mark.parametrize(("head", "body"), [("\r\n", "\r\n"), ("\r\n", "\n"), ("\n", "\r\n")])
    def test_lines_end_as_they_ended(self, head: str, body: str) -> None:
        parent = _with_line_ends(MODELS, "local-proposer", head, body)
        child = Textual(Redactor()).apply(parent, against(parent, "local-proposer"), random.Random(0))
        assert child is not None
        old, new = parent.roles["local-proposer"].prose, child.organization.roles["local-proposer"].prose
        differ = [(a, b) for a, b in zip(old.split("\n"), new.split("\n"), strict=True) if a != b]
        assert len(differ) == 1
        assert differ[0][0].endswith("\r") == differ[0][1].endswith("\r") == (body == "\r\n")


def _with_line_ends(parent: OrgFile, role: str, head: str, body: str) -> OrgFile:
    documents = {name: file.document for name, file in parent.roles.items()}
    old = documents[role]
    front = old.text[: len(old.text) - len(old.body)].replace("\n", head)
    documents[role] = parse(front + old.body.replace("\n", body), old.path, RoleFileError)
    return parse_organization(parent.document, None, documents)


def test_control_is_not_inherited() -> None:
    parent = small({"members:": "control: true\nmodel: some-model\nmembers:"})
    child = Textual(Redactor()).apply(parent, against(parent, "local-proposer"), random.Random(0))
    assert child is not None
    assert not child.organization.settings["control"]

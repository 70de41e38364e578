"""Parametric mutation: always a valid organization, and a diff that reads like a review."""

from __future__ import annotations

import difflib
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.brains.optuna_space import distribution
from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import OrgFile, parse_organization, read_organization, write_files
from metaloop.files.org_reader import organizations_at
from metaloop.files.role_file import effective_policy
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.parametric import Parametric, draw, genome, mutate
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.space import Value
from tests.meta.mutations.small import small

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = {path.name: read_organization(path) for path in organizations_at(ROOT / "orgs")}


def changed_lines(before: OrgFile, after: OrgFile) -> list[str]:
    old, new = before.document.text.splitlines(), after.document.text.splitlines()
    return [line for line in difflib.ndiff(old, new) if line[0] in "+-"]


SWITCHES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "screen_fraction": (lambda value: value == 0.0, ("screen_keep", "screen_margin")),
    "screen_keep": (lambda value: value < 1.0, ("screen_margin",)),
    "near_miss": (lambda value: value == 0.0, ("batch_size",)),
}
"""At which value an entry switches which others off, as nobody reads them then."""


def switched_off(values: dict[str, Value]) -> set[str]:
    """Names of the genes that no longer exist where these were set."""
    off: set[str] = set()
    for gene, value in values.items():
        label, _, name = gene.rpartition(": ")
        if name in SWITCHES and SWITCHES[name][0](float(value)):
            off.update(f"{label}: {other}" for other in SWITCHES[name][1])
    return off


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_mutation_is_valid_and_holds_what_was_set(data: st.DataObject) -> None:
    organization = SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED)))]
    genes = genome(organization)
    names = data.draw(st.lists(st.sampled_from(sorted(genes)), min_size=1, max_size=4, unique=True))
    values = {name: genes[name].knob.from_unit(data.draw(st.floats(0, 1))) for name in names}
    child = mutate(organization, values)
    after = genome(child)
    gone = set(genes) - set(after)
    if not any(name.endswith(": strategy") for name in names):  # another strategy reads other entries
        # Another number of reviewers has a range of its own.
        assert {name for name in gone if not name.startswith("quorum of ")} == switched_off(values) & set(genes)
    left = set(genes) & set(after)
    assert {name: after[name].value for name in names if name in left} == {n: v for n, v in values.items() if n in left}
    untouched = left & set(genes) - set(names)
    assert {n: after[n].value for n in untouched} == {n: genes[n].value for n in untouched}
    assert child.to_organization().members
    assert len(child.roles) == len(organization.roles)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_null_mutation_changes_nothing(name: str) -> None:
    parent = SHIPPED[name]
    child = mutate(parent, {n: gene.value for n, gene in genome(parent).items()})
    changed = changed_lines(parent, child)
    assert all("control" in line for line in changed)
    assert not child.settings["control"]


def test_one_gene_is_one_line() -> None:
    parent = SHIPPED["daily-standup"]
    name = next(n for n in genome(parent) if n.endswith("boldness"))
    changed = changed_lines(parent, mutate(parent, {name: 0.37}))
    added = [line for line in changed if line[0] == "+"]
    assert any("0.37" in line for line in added)
    assert len(changed) <= 3, changed


def test_a_child_is_written_whole(tmp_path: Path) -> None:
    parent = SHIPPED["solo-greedy"]
    name = next(n for n in genome(parent) if n.endswith("boldness"))
    written = write_files(mutate(parent, {name: 0.5}), tmp_path / "child-1")
    assert written.name == "child-1"
    alone = read_organization(tmp_path / "child-1", library=tmp_path / "nowhere")
    entry = alone.members[0]
    assert effective_policy(alone.roles[entry.role], entry.policy)["boldness"] == 0.5


def test_a_value_out_of_range_is_refused() -> None:
    parent = SHIPPED["solo-greedy"]
    name = next(n for n in genome(parent) if n.endswith("boldness"))
    with pytest.raises(TrainerError, match="must lie in"):
        mutate(parent, {name: 7.0})


def test_distributions_keep_the_schema_s_bounds() -> None:
    for gene in genome(SHIPPED["careful-lab"]).values():
        made = distribution(gene.knob)
        assert made._contains(made.to_internal_repr(gene.value))
        if gene.knob.numeric:
            assert (made.low, made.high, made.log) == (gene.knob.low, gene.knob.high, gene.knob.log)  # type: ignore[attr-defined]


def test_a_role_of_the_name_but_of_another_kind_teaches_nothing() -> None:
    parent = small()
    merger = set_value(parent.roles["greedy-merger"].document, ("name",), "local-proposer")
    proposer = set_value(parent.roles["local-proposer"].document, ("name",), "greedy-merger")
    other = parse_organization(parent.document, ROOT / "roles", {
        "local-proposer": replace(merger, path=proposer.path),
        "greedy-merger": replace(proposer, path=merger.path),
    })  # fmt: skip
    gene = genome(parent)["local-proposer: strategy"]
    measured = [(parent, 0.01), (SHIPPED["daily-standup"], 0.02)] * 4 + [(other, 0.9)] * 4
    without = draw([gene], measured[:8], [], random.Random(1))
    assert draw([gene], measured, [other], random.Random(1)) == without


def test_drawing_warns_of_nothing() -> None:
    measured = [(organization, 0.001 * n) for n, organization in enumerate(SHIPPED.values())]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ground = Ground({}, (), measured=tuple(measured), pending=(SHIPPED["tpe"],))
        assert Parametric(3).apply(SHIPPED["careful-lab"], ground, random.Random(0)) is not None


def test_whose_turn_it_is_matters_among_several_only() -> None:
    assert "turns" in genome(SHIPPED["daily-standup"])
    assert "turns" not in genome(SHIPPED["solo-greedy"])
    child = mutate(SHIPPED["daily-standup"], {"turns": "by-gain"})
    assert child.to_organization().turns == "by-gain"

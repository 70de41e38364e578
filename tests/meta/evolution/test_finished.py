"""What an org run's folder comes to, beside what measurement says of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from metaloop.files.run_folder import Confirmation, RunFolder, read_json, read_lines, write_json
from metaloop.meta.evolution.finished import measured_folder
from metaloop.meta.evolution.terms import Request
from metaloop.meta.measure import measure_run
from tests.meta.synthetic_run import PROFILES, write_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    write_run(tmp_path / "run", PROFILES[:2])
    return RunFolder(tmp_path / "run")


def test_it_agrees_with_measurement(folder: RunFolder) -> None:
    for organization in measure_run(folder.path).organizations:
        for run in organization.org_runs:
            request = Request("long", organization.name, run.seed)
            found = measured_folder(folder.org_run(organization.name, run.seed), request, "d", "confirm", real=True)
            assert found.score == pytest.approx(run.gain_bpb)
            assert found.gpu_hours == pytest.approx(run.gpu_hours)
            assert found.harness_gpu_hours == pytest.approx(run.confirmation_gpu_hours)
            assert (found.request, found.real) == (request, True)


def test_a_trunk_that_failed_on_one_seed_has_no_score(folder: RunFolder) -> None:
    place = folder.org_run("solo-greedy", folder.read_terms().seed)
    lines = read_lines(place.confirmations, Confirmation)
    failed = msgspec.structs.replace(lines[-1], state="crash", bpb={})
    place.confirmations.write_bytes(b"".join(msgspec.json.encode(c) + b"\n" for c in (*lines[:-1], failed)))
    found = measured_folder(place, Request("long", "solo-greedy", 0), "d", "confirm", real=True)
    assert found.score is None


def test_confirmed_ends_are_enough_where_the_terms_say_so(folder: RunFolder) -> None:
    terms = folder.read_terms()
    for seed in terms.org_run_seeds:
        place = folder.org_run("solo-greedy", seed)
        lines = read_lines(place.confirmations, Confirmation)
        order = list(dict.fromkeys(c.commit for c in lines))
        ends = [c for c in lines if c.commit in (order[0], order[-1])]
        assert len(ends) < len(lines)
        place.confirmations.write_bytes(b"".join(msgspec.json.encode(c) + b"\n" for c in ends))

    def gains() -> list[float | None]:
        by_name = {o.name: o for o in measure_run(folder.path).organizations}
        return [run.gain_bpb for run in by_name["solo-greedy"].org_runs]

    assert gains() == [None] * terms.seeds
    write_json(folder.terms, msgspec.structs.replace(terms, confirm="ends"))
    assert read_json(folder.terms, type(terms)).confirm == "ends"
    assert None not in gains()

"""The numbered invariants of the design, over all shipped organizations, with and without faults.

1 and 7 need the simulator and come with it. What is checked here runs the real controller, roles and journal in
virtual time (``tests/driver.py``); ``tests/execution/test_ray_backend.py`` checks the same on Ray with real deaths.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from metaloop.files.org_file import load_organization
from metaloop.files.org_reader import organizations_at
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import confirmation_seed
from tests import invariant_checks as checks
from tests.driver import SPACE, Driver, Faults, score

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = [path.name for path in organizations_at(ROOT / "orgs")]
FAULTS = (Faults(), Faults(1, device=0.1, actor=0.05), Faults(2, device=0.4, actor=0.2, until=30.0))
CASES = [pytest.param(name, faults, id=f"{name}-{i}") for name in SHIPPED for i, faults in enumerate(FAULTS)]


def shipped(name: str) -> Organization:
    return load_organization(ROOT / "orgs" / name)


def finished(name: str, faults: Faults) -> Driver:
    driver = Driver(shipped(name), seed=3, budget_s=60.0, faults=faults)
    driver.run()
    return driver


@pytest.mark.parametrize(("name", "faults"), CASES)
class TestEveryOrganization:
    def test_2_a_replayed_journal_gives_the_live_state(self, name: str, faults: Faults) -> None:
        driver = finished(name, faults)
        checks.check_2_replay(driver.journal.events, driver.state)

    def test_3_the_ledger_equals_an_independent_count(self, name: str, faults: Faults) -> None:
        driver = finished(name, faults)
        longest = max(end - start for _, _, start, end in driver.paid)
        checks.check_3_ledger(driver.journal.events, driver.state, longest + 1.0)
        assert driver.state.ledger.spent_s(driver.now) >= 60.0

    def test_4_every_experiment_ends_in_exactly_one_final_state(self, name: str, faults: Faults) -> None:
        driver = finished(name, faults)
        checks.check_4_final_states(driver.journal.events, driver.state)

    def test_5_trunk_moves_only_through_a_merger_under_its_policy(self, name: str, faults: Faults) -> None:
        driver = finished(name, faults)
        checks.check_5_trunk(driver.journal.events, driver.state, driver.organization, SPACE)

    def test_6_once_faults_stop_the_queue_drains(self, name: str, faults: Faults) -> None:
        checks.check_6_drained(finished(name, faults).state)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("dies_after", [7, 60, 200])
def test_4_a_killed_run_goes_on_and_pays_for_nothing_twice(name: str, dies_after: int) -> None:
    driver = Driver(shipped(name), seed=5, budget_s=40.0)
    driver.run(until=lambda d: len(d.journal.events) >= dies_after)
    done = {e.experiment for e in driver.journal.events if isinstance(e, ev.Finished)}
    running = set(driver.state.running.values())
    spent = driver.state.ledger.share(driver.now)
    driver.crash_and_resume()
    driver.run()
    later = [e for e in driver.journal.events[dies_after:] if isinstance(e, ev.Started)]
    assert not done & {e.experiment for e in later}
    dropped = {e.experiment for e in driver.journal.events[dies_after:] if isinstance(e, ev.Dropped)}
    assert running <= {e.experiment for e in later} | dropped, "what was in flight is trained again"
    assert spent >= 1.0 or running <= {e.experiment for e in later}, "only a spent budget drops it"
    assert Counter(e.experiment for e in driver.journal.events if isinstance(e, ev.Finished)).most_common(1)[0][1] == 1
    assert driver.state.ended


def test_4_a_training_that_kills_its_device_twice_is_a_crash() -> None:
    driver = Driver(shipped("solo-greedy"), seed=1, budget_s=20.0, faults=Faults(0, device=1.0, until=8.0))
    state = driver.run()
    losses = Counter(e.experiment for e in driver.journal.events if isinstance(e, ev.Lost))
    killer = [e for e, n in losses.items() if state.experiments[e].final == "crash"]
    assert killer
    assert max(losses.values()) == 1, "rerun once, then it is its own doing"
    for experiment in killer:
        config = state.experiments[experiment].experiment.config
        assert all(config != o.config or o.bpb is None for o in state.outcomes if o.experiment == experiment)


def test_8_no_member_ever_trains_on_a_confirmation_seed_or_is_shown_unseen_data() -> None:
    requests: list[TrainingRequest] = []

    def train(request: TrainingRequest) -> TrainingResult:
        requests.append(request)
        return score(request)

    for name in SHIPPED:
        Driver(shipped(name), seed=2, budget_s=30.0, train=train).run()
    fresh = {confirmation_seed(2, pair) for pair in range(1000)}
    assert requests
    assert not fresh & {r.seed for r in requests}
    assert {r.score_on for r in requests} == {("val",)}

"""Tracking: images are a pure function of the folder; publishing is idempotent, restartable, and never in the way."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from metaloop.edges.tracking import finish_tracker, start_page, start_tracker, tracking_uri
from metaloop.edges.tracking.images import RunImage, images, org_run_images
from metaloop.edges.tracking.knobs import flatten
from metaloop.edges.tracking.metrics import Point
from metaloop.edges.tracking.publisher import FOLDER_TAG, Publisher
from metaloop.edges.tracking.views import views
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import RunFolder, write_json
from tests.meta.synthetic_run import PROFILES, write_run

SHORT_S = 12.0
LONG_ENOUGH_S = 240.0
"""On a machine whose cores are all training, the tracker at the lowest priority gets next to nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite tracking store, made once: its many tables take seconds."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    client(uri).search_experiments()
    return uri


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(uri: str, folder: RunFolder) -> list[Any]:
    import json

    memory = json.loads(folder.tracking.read_text())
    tag = f"tags.`{FOLDER_TAG}` = '{memory['folder']}'"
    return list(client(uri).search_runs([memory["experiment"]], tag, max_results=1000))


def test_images_nest_and_repeat(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], seeds=2, budget_s=SHORT_S)
    found = list(images(folder.path))
    assert found == list(images(folder.path))
    by_key = {image.key: image for image in found}
    assert len(by_key) == len(found)
    levels = Counter(image.tags["level"] for image in found)
    assert (levels["meta"], levels["organization"], levels["org run"]) == (1, 2, 4)
    seen: set[str] = set()
    for image in found:
        assert image.parent is None or image.parent in seen
        assert image.ends is not None
        seen.add(image.key)
    org_run = by_key["solo-greedy/seed-1"]
    assert {"val_bpb", "best_val_bpb", "gain_bpb", "confirmed_gain_over_gpu_seconds"} <= set(org_run.series)
    assert org_run.params["proposer.boldness"] == by_key["solo-greedy"].params["proposer.boldness"] == "0.225"
    assert "pictures/experiments.html" in org_run.texts


def test_an_unfinished_org_run_has_series_but_no_verdict(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], ended=False, budget_s=SHORT_S)
    by_key = {image.key: image for image in images(folder.path)}
    under_way = by_key["no-op/seed-0"]
    assert under_way.ends is None
    assert set(under_way.series) == {"val_bpb", "best_val_bpb"}
    assert by_key["meta"].ends is None
    assert by_key["solo-greedy"].ends is not None


def test_the_same_seed_on_two_stages_is_two_org_runs(tmp_path: Path) -> None:
    """An evolution's winner is confirmed twice on the same seeds, the second time with half of the GPU-hours."""
    whole = write_run(tmp_path / "confirmation", PROFILES[:2], budget_s=SHORT_S)
    half = write_run(tmp_path / "half", PROFILES[:1], budget_s=SHORT_S / 2)
    write_json(half.terms, replace(half.read_terms(), gpu_hours=0.5 * half.read_terms().gpu_hours))
    found = [image for stage in (whole, half) for image in org_run_images(stage)]
    keys = [image.key for image in found]
    assert len(set(keys)) == len(keys)
    assert {"confirmation/solo-greedy/seed-0", "half/solo-greedy/seed-0"} <= set(keys)
    seen = {profile.name for profile in PROFILES[:2]}
    for image in found:
        assert image.parent in seen
        seen.add(image.key)
    granted = {image.key: image.params["gpu_hours_granted"] for image in found if image.tags["level"] == "org run"}
    assert granted["half/solo-greedy/seed-0"] != granted["confirmation/solo-greedy/seed-0"]


def test_knobs_give_every_organization_the_same_columns(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], budget_s=SHORT_S)
    one, two = (flatten(load_organization(folder.organizations / p.name)) for p in PROFILES[:2])
    assert one.keys() == two.keys()
    assert (one["members"], one["members.proposers"], one["sharing"]) == ("3", "2", "all")
    assert (one["merger.strategy"], two["merger.strategy"]) == ("greedy", "never")


def test_publishing_is_idempotent_and_finds_what_was_forgotten(tmp_path: Path, server: str) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], budget_s=SHORT_S)
    expected = list(images(folder.path))
    Publisher(folder.tracking, server).publish(expected)
    first = runs_of(server, folder)
    assert len(first) == len(expected)
    by_name = {run.info.run_name: run for run in first}
    org_run, parent = by_name["solo-greedy seed 0"], by_name["solo-greedy"]
    assert org_run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.tags["mlflow.parentRunId"] == by_name["run"].info.run_id
    assert org_run.data.params["merger.strategy"] == "greedy"
    assert org_run.data.metrics["gain_bpb"] > 0
    assert {run.info.status for run in first} <= {"FINISHED", "FAILED"}
    assert org_run.info.end_time > org_run.info.start_time
    names = {a.path for a in client(server).list_artifacts(parent.info.run_id, "organization")}
    assert "organization/ORG.md" in names
    curve = client(server).get_metric_history(org_run.info.run_id, "best_val_bpb")

    Publisher(folder.tracking, server).publish(images(folder.path))
    # A process that died between making the runs and remembering them; only the folder's identity is left.
    text = folder.tracking.read_text()
    folder.tracking.write_text(text[: text.index('"runs"')] + '"runs": {}}')
    Publisher(folder.tracking, server).publish(images(folder.path))
    assert {r.info.run_id for r in runs_of(server, folder)} == {r.info.run_id for r in first}
    again = client(server).get_metric_history(org_run.info.run_id, "best_val_bpb")
    assert [(m.step, m.value) for m in again] == [(m.step, m.value) for m in curve]
    page = start_page(folder.path)
    assert page is not None
    assert "viewStateShareKey=metaloop-organizations" in page
    tags = client(server).get_experiment_by_name("metaloop").tags
    assert all(tags[key] == value for key, value in views().items())


def test_series_grow_and_only_what_is_new_is_sent(tmp_path: Path, server: str) -> None:
    origin = tmp_path / "run.json"
    origin.write_text("{}")
    short = RunImage("meta", None, "grows", origin, series={"m": (Point(1.0, 1, 0.5),)})
    publisher = Publisher(tmp_path / "mlflow.json", server)
    publisher.publish([short])
    longer = RunImage("meta", None, "grows", origin, series={"m": (Point(1.0, 1, 0.5), Point(2.0, 2, 0.7))}, ends=1.0)
    sent: list[int] = []
    log_batch = publisher._client.log_batch
    publisher._client.log_batch = lambda run, metrics, *rest: (
        sent.append(len(metrics)),
        log_batch(run, metrics, *rest),
    )
    publisher.publish([longer])
    publisher.publish([longer])
    assert sent == [1]


def test_the_tracker_follows_a_run_and_ends_with_it(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    whole = write_run(tmp_path / "whole", PROFILES[:1], budget_s=SHORT_S)
    out = tmp_path / "run"
    out.mkdir()
    tracker = start_tracker(out)  # before the run has written anything
    shutil.copytree(whole.path, out, dirs_exist_ok=True)
    assert finish_tracker(tracker, LONG_ENOUGH_S) is None
    assert len(runs_of(server, RunFolder(out))) == len(list(images(out)))


def test_an_absent_server_costs_a_message_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    folder = write_run(tmp_path / "run", PROFILES[:1], budget_s=SHORT_S)
    before = {f: f.read_bytes() for f in folder.path.rglob("*") if f.is_file()}
    message = finish_tracker(start_tracker(folder.path), LONG_ENOUGH_S)
    assert message is not None
    assert "http://127.0.0.1:9" in message
    assert f"python -m metaloop.edges.tracking {folder.path}" in message
    assert "\n" not in message
    assert {f: f.read_bytes() for f in before} == before


def test_the_default_is_a_sqlite_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"

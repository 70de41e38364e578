"""Makes MLflow look like a folder's run images: idempotent, restartable, three calls for a run.

What was sent is remembered in ``OUT/mlflow.json``, so that a second look sends only what is new. Should a process die
between making a run and remembering it, the next one finds the run by its ``metaloop.key`` tag.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from metaloop.edges.tracking.images import RunImage, Thoughts
from metaloop.edges.tracking.metrics import Point
from metaloop.edges.tracking.views import views
from metaloop.files.run_folder import read_json, write_json

EXPERIMENT = "metaloop"
FOLDER_TAG, KEY_TAG = "metaloop.folder", "metaloop.key"
METRICS_A_CALL, OTHERS_A_CALL = 900, 90
"""MLflow takes 1000 entities a call, of which 100 params and 100 tags."""
LONGEST_PARAM, LONGEST_TAG = 500, 5000

EXPERIMENT_NOTE = """Start with **Views** (top right): organizations ranked, org runs, merged changes.

Runs are nested on four levels, by tag `level`: *meta* (a `metaloop` command) → *organization* → *org run* (one seed) →
*experiment* (one training). `gain_bpb` is baseline minus trunk in bits per byte, retrained by the harness on
fresh paired seeds and unseen data; more is better. In an evolution it is an organization's simulated gain, which all
have; `real_gain_bpb` is the real one of those that came so far. Filters for the search box:

- `tags.level = 'organization'` compares organizations (sort by a metric to see them as a flat list)
- `tags.level = 'org run'` has one row for each seed, with best-so-far and confirmed anytime curves
- `tags.level = 'experiment' and tags.fate = 'merged'` lists the changes that were kept"""


class Sent(msgspec.Struct):
    """What MLflow has of one run: ``base_ms`` is the wall time of run time 0, ``series`` counts points."""

    id: str
    base_ms: int
    series: dict[str, int] = {}
    digests: dict[str, str] = {}
    ended: bool = False
    traces: list[str] = []


class Memory(msgspec.Struct):
    """``OUT/mlflow.json``. ``folder`` identifies the run's folder wherever it is moved to."""

    folder: str
    uri: str
    experiment: str = ""
    runs: dict[str, Sent] = {}


class Publisher:
    """Sends the images of one folder to one tracking server."""

    def __init__(self, file: Path, uri: str) -> None:
        self._file = file
        self._memory = _recall(file, uri)
        self._found: dict[str, str] | None = None
        self._client: Any = None

    def publish(self, images: Iterable[RunImage]) -> None:
        """Send what is new; raises whatever MLflow raises, and goes on from there the next time."""
        self._connect()
        thoughts: dict[str, Thoughts] = {}
        try:
            for image in images:
                self._publish(image)
                thoughts |= {image.key: image.thoughts} if image.thoughts else {}
            for key, found in thoughts.items():  # last, because they are many: the numbers come first
                self._send_traces(key, found)
        except Exception:
            self._found = None  # the call that failed may have made a run before it did
            raise
        finally:
            write_json(self._file, self._memory)

    def _connect(self) -> None:
        if self._client is not None:
            return
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self._memory.uri, registry_uri=self._memory.uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        self._memory.experiment = _experiment(client, name, self._memory.uri)
        write_json(self._file, self._memory)
        self._client = client

    def _publish(self, image: RunImage) -> None:
        sent = self._memory.runs.get(image.key) or self._create(image)
        metrics = [
            (name, point) for name, points in image.series.items() for point in points[sent.series.get(name, 0) :]
        ]
        params = self._news(sent, "params", image.params)
        tags = self._news(sent, "tags", image.tags)
        self._log(sent, metrics, params, tags)
        sent.series.update({name: len(points) for name, points in image.series.items()})
        _remember(sent, "params", image.params)
        _remember(sent, "tags", image.tags)
        self._send_artifacts(sent, image)
        if image.ends is not None and not sent.ended:
            status = "FAILED" if image.failed else "FINISHED"
            self._client.set_terminated(sent.id, status, _ms(sent.base_ms, image.ends))
            sent.ended = True

    def _send_traces(self, key: str, thoughts: Thoughts) -> None:
        import mlflow

        from metaloop.edges.tracking.traces import send_traces

        mlflow.set_tracking_uri(self._memory.uri)  # the client's own is not what its traces go by
        sent = self._memory.runs[key]
        sent.traces.extend(send_traces(self._client, self._memory.experiment, sent.id, thoughts, set(sent.traces)))

    def _create(self, image: RunImage) -> Sent:
        """The run of a key that is not remembered: found by its tag, or made."""
        base = self._base(image)
        known = self._runs_by_key().get(image.key)
        if known is None:
            tags = {KEY_TAG: image.key, FOLDER_TAG: self._memory.folder}
            if image.parent is not None:
                tags["mlflow.parentRunId"] = self._memory.runs[image.parent].id
            made = self._client.create_run(self._memory.experiment, _ms(base, image.begins), tags, image.name)
            known = str(made.info.run_id)
        sent = self._memory.runs[image.key] = Sent(known, base)
        return sent

    def _base(self, image: RunImage) -> int:
        if image.origin is not None:
            return int(1000 * (image.origin.stat().st_mtime - image.origin_t))
        return self._memory.runs[image.parent].base_ms if image.parent else 0

    def _runs_by_key(self) -> dict[str, str]:
        """Runs of this folder that the server has; asked once, for what a killed process made and forgot."""
        if self._found is None:
            self._found = {}
            token = None
            while True:
                filter_string = f"tags.`{FOLDER_TAG}` = '{self._memory.folder}'"
                page = self._client.search_runs([self._memory.experiment], filter_string, page_token=token)
                self._found.update({run.data.tags[KEY_TAG]: run.info.run_id for run in page})
                token = page.token
                if not token:
                    break
        return self._found

    @staticmethod
    def _news(sent: Sent, what: str, values: Mapping[str, str]) -> dict[str, str]:
        return {} if sent.digests.get(what) == _digest(values) else dict(values)

    def _log(
        self, sent: Sent, metrics: list[tuple[str, Point]], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metric_list = [Metric(name, p.value, _ms(sent.base_ms, p.t), p.step) for name, p in metrics]
        param_list = [Param(name, value[:LONGEST_PARAM]) for name, value in params.items()]
        tag_list = [RunTag(name, value[:LONGEST_TAG]) for name, value in tags.items()]
        while metric_list or param_list or tag_list:
            self._client.log_batch(
                sent.id, metric_list[:METRICS_A_CALL], param_list[:OTHERS_A_CALL], tag_list[:OTHERS_A_CALL]
            )
            metric_list = metric_list[METRICS_A_CALL:]
            param_list, tag_list = param_list[OTHERS_A_CALL:], tag_list[OTHERS_A_CALL:]

    def _send_artifacts(self, sent: Sent, image: RunImage) -> None:
        for place, path in image.artifacts.items():
            print_now = _file_print(path)
            if sent.digests.get(place) == print_now:
                continue
            if path.is_dir():
                self._client.log_artifacts(sent.id, str(path), place)
            else:
                self._client.log_artifact(sent.id, str(path))
            sent.digests[place] = print_now
        for place, text in image.texts.items():
            if sent.digests.get(place) != _digest({"": text}):
                self._client.log_text(sent.id, text, place)
                sent.digests[place] = _digest({"": text})


def _recall(file: Path, uri: str) -> Memory:
    """What is remembered for this server; another server starts afresh, under the folder's own identity."""
    if not file.exists():
        return Memory(uuid.uuid4().hex, uri)
    memory = read_json(file, Memory)
    return memory if memory.uri == uri else Memory(memory.folder, uri)


def _remember(sent: Sent, what: str, values: Mapping[str, str]) -> None:
    sent.digests[what] = _digest(values)


def _experiment(client: Any, name: str, uri: str) -> str:
    """The id of the MLflow experiment, which is made (or brought back from the bin) if need be, views and all."""
    tags = {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": EXPERIMENT_NOTE,
        "mlflow.experiment.primaryMetric.name": "gain_bpb",
        "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
        **views(),
    }
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, _artifact_location(uri), tags))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in tags.items():
        # A note or view that a person has changed stays as it is.
        if key not in found.tags:
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """Beside a SQLite file, in ``mlartifacts``; a server has its own place."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()


def _ms(base: int, seconds: float) -> int:
    return base + int(1000 * seconds)


def _digest(values: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(values.items()))).hexdigest()[:16]


def _file_print(path: Path) -> str:
    """Changes when a file, or one below a folder, does."""
    files = sorted(_files(path))
    return _digest({str(file): f"{file.stat().st_size} {file.stat().st_mtime_ns}" for file in files})


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())

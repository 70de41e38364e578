"""Making a recording: real trainings on a backend, appended to a file of JSON lines, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metaloop.execution.backend import Backend
from metaloop.execution.recording.design import BATCH, Recorded, draw_batch
from metaloop.files.run_folder import append_line, read_lines
from metaloop.vocabulary.records import TrainingResult
from metaloop.vocabulary.space import Space


def record(
    path: Path, space: Space, seed: int, trainings: int, backend: Backend, on_progress: Callable[[Recorded], None]
) -> list[Recorded]:
    """Record up to ``trainings`` (rounded up to whole batches); what ``path`` already holds is not trained again."""
    done = {item.index: item for item in read_lines(path, Recorded)}
    for number in range(-(-trainings // BATCH)):
        past = [done[i] for i in range(number * BATCH)]
        due = [(i, stage, request) for i, stage, request in draw_batch(space, seed, number, past) if i not in done]

        def take(place: int, result: TrainingResult, due: list = due) -> None:  # type: ignore[type-arg]
            index, stage, request = due[place]
            done[index] = Recorded(index, stage, request, result)
            append_line(path, done[index])
            on_progress(done[index])

        if due:
            backend.train_all([request for _, _, request in due], take)
    return [done[i] for i in sorted(done)]

"""The model file: what is fitted is what is loaded, and nothing else loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaloop.execution.surrogate.model import ARRAYS, Model, load
from metaloop.execution.surrogate.trainer import SurrogateTrainer, model_of
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import TrainingRequest
from tests.execution.surrogate.synthetic import FEATURES, SMALL, SOURCE

BASELINE = TrainingRequest({}, seed=1)


def test_a_model_comes_back_the_same(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.npz")
    again = load(tmp_path / "m.npz")
    assert again.meta == model.meta
    assert again.digest() == model.digest()
    assert again.content() == (tmp_path / "m.npz").read_bytes()
    assert SurrogateTrainer(again).predict(BASELINE) == SurrogateTrainer(model).predict(BASELINE)


def test_the_same_rows_give_the_same_model(rows: list, model: Model) -> None:  # type: ignore[type-arg]
    from metaloop.execution.surrogate.fit import fit_surrogate

    assert fit_surrogate(rows, SOURCE, SMALL).digest() == model.digest()


def test_a_model_file_is_a_target(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.npz")
    target = describe(TrainerSpec("surrogate", "cpu-tiny", str(tmp_path / "m.npz")))
    assert target.knobs == FEATURES.space.knobs
    assert target.identity["model"] == model.digest()
    assert target.identity["recording"] == model.meta.recording
    assert target.identity["recorded_data"] == "made-up"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("missing.npz", "no surrogate model at .*missing.npz"),
        ("text.npz", "text.npz is not a surrogate model"),
        ("cut.npz", "cut.npz is not a surrogate model"),
        ("lacking.npz", "lacking.npz is not a surrogate model"),
        ("bent.npz", "another version"),
        ("corpus.txt", "must be 'stdlib' or the path of an .npz model"),
        ("good.npz", "is a surrogate of preset 'cpu-tiny', not 'cpu-micro'"),
    ],
)
def test_what_is_no_model_is_refused(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save(Path("good.npz"))
    Path("text.npz").write_text("no")
    Path("cut.npz").write_bytes(model.content()[:2000])
    np.savez("lacking.npz", meta=np.zeros(3))
    with np.load("good.npz") as archive:
        np.savez("bent.npz", **{name: archive[name] for name in archive} | {"points": np.zeros(3)})
    preset = "cpu-micro" if data == "good.npz" else "cpu-tiny"
    with pytest.raises(TrainerError, match=message):
        model_of(TrainerSpec("surrogate", preset, data))


def test_a_preset_without_a_shipped_model_says_which_have_one() -> None:
    with pytest.raises(TrainerError, match=r"'gpt2' \(shipped: cpu-tiny\)"):
        model_of(TrainerSpec("surrogate", "gpt2", "stdlib"))


def test_a_model_of_other_knobs_is_refused(model: Model) -> None:
    import msgspec

    meta = msgspec.structs.replace(model.meta, features=model.meta.features[1:])
    with pytest.raises(TrainerError, match="other knobs"):
        SurrogateTrainer(Model(meta, model.arrays))


def test_all_arrays_are_documented_and_float32(model: Model) -> None:
    assert set(model.arrays) == set(ARRAYS)
    assert {array.dtype for array in model.arrays.values()} == {np.dtype(np.float32)}

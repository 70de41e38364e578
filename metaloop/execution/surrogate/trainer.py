"""The surrogate behind the trainer seam: a training's result in about 100 microseconds, no training done.

The noise of a score has two parts: one that all configurations on the same training seed share (common random
numbers: the same order of data), one of the configuration's own. Both come from named seed streams, so a result is a
function of the request and the model file alone. Neither torch nor scikit-learn is imported.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

from metaloop.execution.nanogpt_trainer import LONGEST_S, knobs
from metaloop.execution.surrogate.features import Features
from metaloop.execution.surrogate.model import Model, Prediction, load
from metaloop.execution.surrogate.walk import Known, Walk, common_noise, draw, expected
from metaloop.execution.trainer import Target, TrainerSpec
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult, digest
from metaloop.vocabulary.space import Space

SHIPPED = "stdlib"
"""``spec.data`` that names the model shipped for the preset; anything else is the path of a model file."""
NOISELESS = "#noiseless"
"""Ending of ``spec.data`` that switches all chance off: scores are means, and a configuration fails if that is likelier
than not."""
REMEMBERED = 4096
"""Configurations whose prediction is kept, and training seeds whose common noise is."""
SCORABLE = ("train", "val", "holdout", "confirm")
"""Splits that can be asked for. ``train`` reads as ``val``: it was never recorded, and a budget this small never
comes to the end of the training data."""


class SurrogateTrainer:
    """Answers requests from a :class:`Model`; keeps nothing but a bounded memory of predictions.

    ``noise`` multiplies all standard deviations; at 0 a configuration fails if that is likelier than not.
    """

    def __init__(self, model: Model, noise: float = 1.0) -> None:
        self._model, self._noise = model, noise
        self._features = Features(Space(knobs()), model.meta.preset, model.meta.vocab)
        if self._features.names != model.meta.features:
            raise TrainerError("the surrogate model was fitted on other knobs. Calibrate again.")
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._common = lru_cache(maxsize=REMEMBERED)(common_noise)

    def train(self, request: TrainingRequest) -> TrainingResult:
        """:meth:`simulate` at speed 1."""
        return self.simulate(request, 1.0)

    def simulate(self, request: TrainingRequest, speed: float) -> TrainingResult:
        """The result on a device of ``speed`` times the recording's; a FLOP budget's score does not depend on it."""
        _check(request)
        known = self._knows(request)
        sizes = known.sizes
        if request.budget_fraction != 1:
            sizes = self._features.sizes(known.full, request.budget_fraction)
        if self._noise:
            chance = draw(known, self._model, self._common(request.seed), request.seed, self._noise)
        else:
            chance = expected(known.prediction, self._model)
        return Walk(self._model, request, sizes, chance, speed).result()

    def predict(self, request: TrainingRequest) -> Prediction:
        """What the model says of the request's configuration, before any chance."""
        return self._knows(request).prediction

    def _knows(self, request: TrainingRequest) -> Known:
        name = digest(request.config)
        known = self._known.get(name)
        if known is not None:
            self._known.move_to_end(name)
            return known
        full = self._features.whole(request.config)
        sizes = self._features.sizes(full)
        known = Known(name, full, sizes, self._model.predict(self._features.vector(full, sizes)))
        self._known[name] = known
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def _check(request: TrainingRequest) -> None:
    for split in request.score_on:
        if split not in SCORABLE:
            raise TrainerError(f"unknown split {split!r}; expected some of {', '.join(SCORABLE)}.")
    if not 0 < request.budget_fraction <= 1:
        raise TrainerError(f"budget_fraction must be above 0 and at most 1, got {request.budget_fraction}.")


def shipped() -> tuple[str, ...]:
    """The presets that a model is shipped for."""
    names = (file.name for file in files(__package__).joinpath("models").iterdir())
    return tuple(sorted(name.removesuffix(".npz") for name in names if name.endswith(".npz")))


def model_of(spec: TrainerSpec) -> Model:
    """The model that ``spec.data`` names for ``spec.preset``.

    Raises:
        TrainerError: none is shipped, none is there, it is damaged, or it is of another preset or of other knobs.
    """
    data = spec.data.removesuffix(NOISELESS)
    if data == SHIPPED:
        if spec.preset not in shipped():
            have = ", ".join(shipped()) or "none"
            raise TrainerError(f"no surrogate is shipped for preset {spec.preset!r} (shipped: {have}). Calibrate one.")
        with as_file(files(__package__).joinpath("models", f"{spec.preset}.npz")) as path:
            model = load(path)
    elif data.endswith(".npz"):
        model = load(Path(data))
    else:
        raise TrainerError(f"surrogate data must be {SHIPPED!r} or the path of an .npz model, got {spec.data!r}.")
    if model.meta.preset != spec.preset:
        raise TrainerError(f"{data} is a surrogate of preset {model.meta.preset!r}, not {spec.preset!r}.")
    return model


def describe(spec: TrainerSpec) -> Target:
    """The surrogate's target: the recorded target's knobs, identified by the model file and its recording."""
    model = model_of(spec)
    identity = {
        "trainer": "surrogate",
        "preset": spec.preset,
        "data": spec.data,
        "model": model.digest(),
        "recording": model.meta.recording,
        **{f"recorded_{name}": value for name, value in model.meta.target.items() if name != "preset"},
    }
    return Target(spec, knobs(), identity, {}, LONGEST_S.get(spec.preset, 1800.0))


def make(spec: TrainerSpec, gpu: bool) -> SurrogateTrainer:  # noqa: ARG001  (a surrogate needs no device)
    """A trainer; cheap, so one per simulated device is fine."""
    return SurrogateTrainer(model_of(spec), noise=0.0 if spec.data.endswith(NOISELESS) else 1.0)

"""The knobs of a training: every value a configuration may change, with its range, meaning and source.

This is the only place. `--help`, search spaces, prompts and documentation are generated from `KNOBS`, and
the training code reads the same values, typed, from a `Config`. The defaults are deliberately the plain
practice of the nanoGPT era (2023), so that there is something to find.

Sizes are relative to the preset (`width_scale`, `depth_scale`, `head_dim`, `batch_scale`), so one space serves
a laptop core and a GPU. Every combination inside the ranges is a valid model: sizes are rounded where they must
be. A knob that another one switches off (say `rope_base` under learned positions) is accepted and has no effect.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast

Value = float | int | bool | str

GROUPS: Final = ("optimizer", "schedule", "architecture", "regularization", "initialization", "batch")

_ADAM = "Adam, Kingma and Ba 2014, arXiv:1412.6980"
_ADAMW = "AdamW, Loshchilov and Hutter 2017, arXiv:1711.05101"
_GPT3 = "GPT-3, Brown et al. 2020, arXiv:2005.14165, appendix B"
_MUON = "Muon, Jordan et al. 2024, kellerjordan.github.io/posts/muon"
_MOONLIGHT = "Muon is scalable, Liu et al. 2025, arXiv:2502.16982"
_MODDED = "modded-nanogpt speed runs, github.com/KellerJordan/modded-nanogpt"
_NANOCHAT = "nanochat, github.com/karpathy/nanochat"
_AUTORESEARCH = "autoresearch, github.com/karpathy/autoresearch"
_SCALING = "Scaling laws, Kaplan et al. 2020, arXiv:2001.08361"
_GPT2 = "GPT-2, Radford et al. 2019, section 2.3"
_WSD = "Scaling laws beyond fixed durations, Haegele et al. 2024, arXiv:2405.18392"


class KnobError(ValueError):
    """A knob that does not exist, or a value that it cannot take. The message says found and expected."""


@dataclass(frozen=True)
class Knob:
    """One value a configuration may change.

    `kind` is "float", "int", "bool" or "choice". `low` and `high` (both inclusive) are None unless the kind is a
    number; `log` says that the knob is searched on a log scale; `choices` is empty unless the kind is "choice".
    """

    name: str
    group: str
    kind: str
    default: Value
    low: float | None
    high: float | None
    log: bool
    choices: tuple[str, ...]
    meaning: str
    source: str


def _number(group: str, default: float, low: float, high: float, log: bool, about: tuple[str, str]) -> Any:
    meta = {"group": group, "low": low, "high": high, "log": log, "about": about}
    return dataclasses.field(default=default, metadata=meta)


def _lr(default: float, low: float, high: float, meaning: str, source: str) -> Any:
    return _number("optimizer", default, low, high, True, (meaning, source))


def _beta(default: float, low: float, high: float, meaning: str, source: str) -> Any:
    return _number("optimizer", default, low, high, False, (meaning, source))


def _choice(group: str, default: str, choices: tuple[str, ...], meaning: str, source: str) -> Any:
    return dataclasses.field(default=default, metadata={"group": group, "choices": choices, "about": (meaning, source)})


def _switch(default: bool, meaning: str, source: str) -> Any:
    return dataclasses.field(default=default, metadata={"group": "architecture", "about": (meaning, source)})


# fmt: off
@dataclass(frozen=True)
class Config:
    """A complete, valid setting of all knobs. Build it with `resolve`, which checks; the fields define `KNOBS`."""

    # --- optimizer
    matrix_optimizer: str = _choice(
        "optimizer", "adamw", ("adamw", "muon"),
        "optimizer of the weight matrices inside the blocks; everything else always uses AdamW", _MUON)
    matrix_lr: float = _lr(
        2e-3, 1e-4, 0.3, "peak learning rate of block matrices; Muon's step is scaled to AdamW's size, so one "
        "range serves both", _MOONLIGHT)
    embedding_lr: float = _lr(
        2e-3, 1e-4, 1.0, "peak learning rate of token, position and value embeddings (and of a tied head)",
        _NANOCHAT)
    head_lr: float = _lr(2e-3, 1e-4, 1.0, "peak learning rate of the output head when it is untied", _NANOCHAT)
    scalar_lr: float = _lr(
        2e-3, 1e-4, 1.0, "peak learning rate of norm gains, gates and lambdas", _MODDED)
    beta1: float = _beta(
        0.9, 0.5, 0.99, "Adam's memory of the gradient, for matrices under AdamW, head and scalars", _ADAM)
    beta2: float = _beta(
        0.95, 0.8, 0.999, "Adam's memory of the squared gradient, for matrices under AdamW, head and scalars",
        _GPT3)
    embedding_beta2: float = _beta(
        0.95, 0.8, 0.999, "as beta2, for token and position embeddings: rare bytes want a longer memory", _GPT3)
    value_embedding_beta1: float = _beta(
        0.9, 0.5, 0.99, "as beta1, for value embeddings", _AUTORESEARCH)
    value_embedding_beta2: float = _beta(
        0.95, 0.8, 0.999, "as beta2, for value embeddings; interacts with their weight decay", _AUTORESEARCH)
    muon_momentum: float = _beta(0.95, 0.7, 0.99, "Nesterov momentum of Muon", _MUON)

    # --- schedule
    warmup_fraction: float = _number(
        "schedule", 0.1, 0.0, 0.5, False, ("share of the budget in which the rate climbs linearly from zero", _GPT3))
    warmdown_fraction: float = _number(
        "schedule", 0.9, 0.0, 1.0, False, ("share of the budget, at its end, in which the rate falls", _WSD))
    final_lr_fraction: float = _number(
        "schedule", 0.1, 0.0, 1.0, False, ("learning rate at the very end, as a share of the peak", _GPT3))
    schedule_shape: str = _choice(
        "schedule", "cosine", ("cosine", "linear", "sqrt"),
        "how the rate falls during the warmdown; sqrt is 1 - sqrt(progress)", _WSD)

    # --- architecture
    width_scale: float = _number(
        "architecture", 1.0, 0.5, 2.0, True, ("model width over the preset's, rounded to whole heads", _SCALING))
    depth_scale: float = _number(
        "architecture", 1.0, 0.5, 2.0, True, ("layers over the preset's, rounded, at least 1", _SCALING))
    head_dim: str = _choice(
        "architecture", "base", ("half", "base", "double"), "size of an attention head against the preset's",
        "Attention, Vaswani et al. 2017, arXiv:1706.03762, table 3B")
    mlp_ratio: float = _number(
        "architecture", 4.0, 1.0, 8.0, True,
        ("hidden size of the MLP over the width; SwiGLU takes 2/3 of it, for equal parameters", _SCALING))
    activation: str = _choice(
        "architecture", "gelu", ("gelu", "relu2", "swiglu"), "nonlinearity of the MLP",
        "ReLU squared: Primer, So et al. 2021, arXiv:2109.08668; SwiGLU: Shazeer 2020, arXiv:2002.05202")
    norm: str = _choice(
        "architecture", "layernorm", ("layernorm", "rmsnorm"),
        "LayerNorm with a learned gain, or RMSNorm without any parameter (and one more after the embedding)",
        "RMSNorm, Zhang and Sennrich 2019, arXiv:1910.07467")
    position: str = _choice(
        "architecture", "learned", ("learned", "rope"), "how the model knows positions",
        "RoPE, Su et al. 2021, arXiv:2104.09864")
    rope_base: float = _number(
        "architecture", 1e4, 10.0, 1e6, True,
        ("longest wavelength of RoPE, over 2 pi tokens; short contexts like less", "RoPE, arXiv:2104.09864"))
    qk_norm: bool = _switch(
        False, "normalize queries and keys to unit RMS before attention",
        "QK-norm, Henry et al. 2020, arXiv:2010.04245; Dehghani et al. 2023, arXiv:2302.05442")
    value_embeddings: str = _choice(
        "architecture", "off", ("off", "plain", "gated"),
        "add a learned vector of the token to the values, in every other layer; gated by the input or not",
        "ResFormer, Zhou et al. 2024, arXiv:2410.17897; gate: nanochat")
    residual_lambdas: bool = _switch(
        False, "one learned factor per layer on the residual stream, from 1", _MODDED)
    x0_lambdas: bool = _switch(
        False, "one learned factor per layer that adds the embedding back in, from 0.1", _MODDED)
    tied_head: bool = _switch(
        True, "the output head shares the token embedding's weights",
        "Press and Wolf 2016, arXiv:1608.05859")
    window_pattern: str = _choice(
        "architecture", "L", ("L", "SL", "SSL", "SSSL"),
        "layers with a short (S, a quarter of the context) or long (L) attention window, repeated; the last is L",
        "Longformer, Beltagy et al. 2020, arXiv:2004.05150; GPT-3, section 2.1")
    queries_per_kv: int = _number(
        "architecture", 1, 1, 4, False,
        ("query heads that share a key and value head, rounded down to a divisor of the heads",
         "GQA, Ainslie et al. 2023, arXiv:2305.13245"))
    logit_softcap: float = _number(
        "architecture", 0.0, 0.0, 60.0, False,
        ("bound c on the logits, c tanh(logits / c); 0 is off", "Gemma 2, 2024, arXiv:2408.00118"))

    # --- regularization
    grad_clip: float = _number(
        "regularization", 1.0, 0.05, 10.0, True,
        ("largest global norm of the gradient", "Pascanu et al. 2012, arXiv:1211.5063"))
    matrix_weight_decay: float = _number(
        "regularization", 0.1, 0.0, 1.0, False, ("decoupled decay of block matrices and an untied head", _ADAMW))
    embedding_weight_decay: float = _number(
        "regularization", 0.1, 0.0, 1.0, False, ("decoupled decay of token and position embeddings", _ADAMW))
    value_embedding_weight_decay: float = _number(
        "regularization", 0.1, 0.0, 1.0, False, ("decoupled decay of value embeddings", _AUTORESEARCH))
    z_loss: float = _number(
        "regularization", 0.0, 0.0, 0.01, False,
        ("weight of the squared log normalizer in the training loss", "PaLM, 2022, arXiv:2204.02311, section 5"))

    # --- initialization
    init_std: float = _number(
        "initialization", 0.02, 0.002, 0.3, True, ("standard deviation of block matrices and an untied head", _GPT2))
    embedding_std: float = _number(
        "initialization", 0.02, 0.002, 1.0, True, ("standard deviation of all embeddings", _GPT2))
    residual_init: str = _choice(
        "initialization", "scaled", ("scaled", "plain", "zero"),
        "projections back into the residual stream: divided by sqrt(2 layers), as the rest, or zero",
        "scaled: GPT-2; zero: ReZero and muP practice, Yang et al. 2022, arXiv:2203.03466")

    # --- batch
    batch_scale: float = _number(
        "batch", 1.0, 0.25, 2.0, True,
        ("sequences in a step over the preset's, rounded, at least 1; a smaller batch takes more steps",
         "McCandlish et al. 2018, arXiv:1812.06162"))

# fmt: on


def _knob(field: dataclasses.Field[Any]) -> Knob:
    meta = field.metadata
    choices = meta.get("choices", ())
    kind = "choice" if choices else str(field.type)
    meaning, source = meta["about"]
    return Knob(
        name=field.name, group=meta["group"], kind=kind, default=cast(Value, field.default), low=meta.get("low"),
        high=meta.get("high"), log=meta.get("log", False), choices=choices, meaning=meaning, source=source,
    )  # fmt: skip


KNOBS: Final[Mapping[str, Knob]] = MappingProxyType({f.name: _knob(f) for f in dataclasses.fields(Config)})


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """The hint ` (did you mean 'x'?)` for a misspelt name, or an empty string if nothing is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def bounds(knob: Knob) -> tuple[float, float]:
    """(low, high) of a number knob; raises KnobError for any other."""
    if knob.low is None or knob.high is None:
        raise KnobError(f"knob '{knob.name}' is a {knob.kind}: it has no range")
    return knob.low, knob.high


def _number_value(knob: Knob, value: Any) -> float | int:
    kind = f"{'a whole number' if knob.kind == 'int' else 'a number'} from {knob.low:g} to {knob.high:g}"
    accepted = int if knob.kind == "int" else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise KnobError(f"knob '{knob.name}': found {value!r}, expected {kind}")
    low, high = bounds(knob)
    if not low <= value <= high:  # true for NaN as well
        raise KnobError(f"knob '{knob.name}': found {value!r}, expected {kind}")
    return int(value) if knob.kind == "int" else float(value)


def check(knob: Knob, value: Any) -> Value:
    """`value` in the knob's own type; raises KnobError if the knob cannot take it."""
    if knob.kind == "choice":
        if value not in knob.choices:
            raise KnobError(f"knob '{knob.name}': found {value!r}, expected one of {', '.join(knob.choices)}")
        return str(value)
    if knob.kind == "bool":
        if not isinstance(value, bool):
            raise KnobError(f"knob '{knob.name}': found {value!r}, expected true or false")
        return value
    return _number_value(knob, value)


def resolve(overrides: Mapping[str, Any]) -> Config:
    """The defaults with `overrides` put in, all checked. Raises KnobError with what was found and expected."""
    checked: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in KNOBS:
            raise KnobError(f"unknown knob '{name}'{nearest(str(name), KNOBS)}; --list-knobs shows all")
        checked[name] = check(KNOBS[name], value)
    return Config(**checked)


def parse(name: str, text: str) -> Value:
    """The value of knob `name` written as `text` on a command line. Raises KnobError."""
    if name not in KNOBS:
        raise KnobError(f"unknown knob '{name}'{nearest(name, KNOBS)}; --list-knobs shows all")
    knob = KNOBS[name]
    value: Any = text
    try:
        if knob.kind == "bool":
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif knob.kind != "choice":
            value = int(text) if knob.kind == "int" else float(text)
    except ValueError:
        value = text
    return check(knob, value)

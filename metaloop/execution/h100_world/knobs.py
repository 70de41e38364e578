"""The knobs of the H100 world: what the published agent changed, with its baseline's values.

Names, defaults and the kind of change come from the change list in ``published.tsv`` and, where that is silent, from
``train.py`` of karpathy/autoresearch. Ranges are an assumption: a factor of about four either way for rates, the
sensible part of the scale for everything else. Groups are those of the nanoGPT target, so that every organization
finds its focus here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from metaloop.vocabulary.space import Knob, Space, Value

Kind = Literal["hyperparameter", "architecture", "optimizer"]
"""The published labels of changes; ``optimizer`` means its mechanics, rates count as hyperparameters."""

SOURCE = "karpathy/autoresearch, exp/H100/mar8"


class Spot(NamedTuple):
    """How much one unit of range (or, for a choice, its last level) adds to a limit that trainings may break."""

    memory: float = 0.0
    heat: float = 0.0


def _real(name: str, group: str, default: float, bounds: tuple[float, float], meaning: str) -> Knob:
    return Knob(name, group, "float", default, bounds[0], bounds[1], meaning=meaning, source=SOURCE)


def _ratio(name: str, group: str, default: float, bounds: tuple[float, float], meaning: str) -> Knob:
    return Knob(name, group, "float", default, bounds[0], bounds[1], True, meaning=meaning, source=SOURCE)


def _whole(name: str, group: str, default: int, bounds: tuple[int, int], meaning: str) -> Knob:
    return Knob(name, group, "int", default, bounds[0], bounds[1], meaning=meaning, source=SOURCE)


def _choice(name: str, group: str, choices: tuple[Value, ...], meaning: str) -> Knob:
    """The first choice is the default."""
    return Knob(name, group, "choice", choices[0], choices=choices, meaning=meaning, source=SOURCE)


def _switch(name: str, group: str, default: bool, meaning: str) -> Knob:
    return Knob(name, group, "bool", default, choices=(False, True), meaning=meaning, source=SOURCE)


# fmt: off
_HYPERPARAMETERS = (
    _whole("total_batch_log2", "batch", 19, (16, 21), "log2 of the tokens in a step"),
    _choice("device_batch", "batch", (128, 64, 32, 256), "sequences in one forward pass"),
    _ratio("matrix_lr", "optimizer", 0.04, (0.01, 0.16), "learning rate of block matrices (Muon)"),
    _ratio("embedding_lr", "optimizer", 0.6, (0.15, 2.4), "learning rate of the token embedding"),
    _ratio("unembedding_lr", "optimizer", 0.004, (0.001, 0.016), "learning rate of the output head"),
    _ratio("scalar_lr", "optimizer", 0.5, (0.125, 2.0), "learning rate of the residual lambdas"),
    _ratio("value_embedding_lr_factor", "optimizer", 1.0, (0.25, 4.0), "rate of value embeddings over embedding_lr"),
    _ratio("x0_lambda_lr_factor", "optimizer", 1.0, (0.25, 4.0), "rate of the x0 lambdas over scalar_lr"),
    _ratio("resid_lambda_lr_factor", "optimizer", 0.01, (0.0025, 0.16), "rate of residual lambdas over scalar_lr"),
    _ratio("lr_reference_width", "optimizer", 768.0, (384.0, 1536.0), "width at which the Adam rates hold"),
    _real("warmup_ratio", "schedule", 0.0, (0.0, 0.3), "share of the budget in which rates climb"),
    _real("warmdown_ratio", "schedule", 0.5, (0.0, 1.0), "share of the budget in which rates fall"),
    _real("final_lr_fraction", "schedule", 0.0, (0.0, 0.3), "rate at the end over its peak"),
    _real("weight_decay", "regularization", 0.2, (0.0, 0.6), "decoupled decay of block matrices"),
    _real("head_weight_decay", "regularization", 0.0, (0.0, 0.1), "decoupled decay of the output head"),
    _real("embedding_weight_decay", "regularization", 0.0, (0.0, 0.02), "decoupled decay of the token embedding"),
    _real("value_embedding_weight_decay", "regularization", 0.0, (0.0, 0.02), "decoupled decay of value embeddings"),
    _ratio("logit_softcap", "regularization", 15.0, (7.5, 30.0), "bound on the logits"),
    _ratio("transformer_init_scale", "initialization", 1.0, (0.4, 2.5), "factor on the initial block matrices"),
    _ratio("qk_init_scale", "initialization", 1.0, (0.25, 4.0), "factor on initial query and key matrices"),
    _ratio("embedding_init_std", "initialization", 1.0, (0.25, 4.0), "initial token embedding"),
    _ratio("head_init_std", "initialization", 0.001, (0.0001, 0.01), "initial output head"),
    _real("projection_init_std", "initialization", 0.0, (0.0, 0.02), "initial projections into the residual stream"),
    _real("x0_lambda_init", "initialization", 0.1, (0.0, 0.4), "initial weight of the embedding in every layer"),
    _real("resid_lambda_init", "initialization", 1.0, (0.7, 1.3), "initial weight of the residual stream"),
    _ratio("rope_base", "architecture", 1e4, (1e3, 1e6), "longest wavelength of RoPE over 2 pi tokens"),
)

_ARCHITECTURE = (
    _whole("depth", "architecture", 8, (5, 12), "layers"),
    _whole("aspect_ratio", "architecture", 64, (40, 96), "width over depth"),
    _ratio("mlp_ratio", "architecture", 4.0, (2.0, 8.0), "hidden size of the MLP over the width"),
    _whole("ve_gate_channels", "architecture", 32, (8, 96), "channels that gate the value embeddings"),
    _real("ve_gate_scale", "architecture", 2.0, (0.5, 4.0), "largest gate of the value embeddings"),
    _ratio("ve_init_scale", "initialization", 1.0, (0.25, 4.0), "initial value embeddings"),
    _choice("head_dim", "architecture", (128, 64, 256), "size of an attention head"),
    _choice("window_pattern", "architecture", ("SSSL", "SSSSL", "SSSSSL", "SSL", "SL", "L"),
            "layers with a short or long attention window, repeated"),
    _choice("short_window", "architecture", ("1/2", "1/4", "1/6", "1/8", "1/10"), "short window over the context"),
    _choice("ve_layers", "architecture", ("alternate", "all", "every third", "last three", "none"),
            "layers with value embeddings"),
    _choice("kv_heads", "architecture", ("all", "half", "one"), "key and value heads over query heads"),
    _choice("activation", "architecture", ("relu2", "gelu", "swiglu"), "nonlinearity of the MLP"),
    _choice("init_by_depth", "initialization", ("none", "1/sqrt(layer)", "1/layer"), "initial scale over layers"),
    _switch("parallel_block", "architecture", False, "attention and MLP side by side"),
    _switch("tied_embeddings", "architecture", False, "the head shares the token embedding"),
    _switch("qk_norm", "architecture", True, "normalized queries and keys"),
)

_MECHANICS = (
    _real("adam_beta1", "optimizer", 0.8, (0.5, 0.95), "Adam's memory of the gradient"),
    _real("adam_beta2", "optimizer", 0.95, (0.85, 0.999), "Adam's memory of the squared gradient"),
    _real("x0_lambda_beta1", "optimizer", 0.96, (0.8, 0.99), "as adam_beta1, for the x0 lambdas"),
    _real("muon_momentum", "optimizer", 0.95, (0.85, 0.99), "momentum of Muon after its warmup"),
    _real("muon_momentum_start", "optimizer", 0.85, (0.7, 0.95), "momentum of Muon at first"),
    _ratio("muon_momentum_warmup", "optimizer", 300.0, (50.0, 1000.0), "steps in which Muon's momentum climbs"),
    _real("muon_beta2", "optimizer", 0.95, (0.8, 0.999), "NorMuon's memory of row sizes"),
    _whole("muon_ns_steps", "optimizer", 5, (3, 8), "Newton-Schulz iterations of Muon"),
    _switch("cautious_decay", "optimizer", True, "decay only where it agrees with the update"),
    _choice("weight_decay_schedule", "schedule", ("linear", "constant", "sqrt", "as rates", "late"),
            "how the weight decay falls"),
    _choice("warmdown_shape", "schedule", ("linear", "cosine", "sqrt"), "how rates fall"),
    _real("grad_clip", "regularization", 0.0, (0.0, 2.0), "largest norm of the gradient; 0 is off"),
)
# fmt: on

KNOBS: tuple[Knob, ...] = (*_HYPERPARAMETERS, *_ARCHITECTURE, *_MECHANICS)
SPACE = Space(KNOBS)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **{knob.name: "hyperparameter" for knob in _HYPERPARAMETERS},
        **{knob.name: "architecture" for knob in _ARCHITECTURE},
        **{knob.name: "optimizer" for knob in _MECHANICS},
    }
)
"""The published label that a change of the knob gets."""

SPOTS: Mapping[str, Spot] = MappingProxyType(
    {
        "device_batch": Spot(memory=0.4),
        "depth": Spot(memory=1.0),
        "aspect_ratio": Spot(memory=1.0),
        "mlp_ratio": Spot(memory=0.5),
        "matrix_lr": Spot(heat=1.0),
        "embedding_lr": Spot(heat=0.4),
        "unembedding_lr": Spot(heat=0.4),
        "scalar_lr": Spot(heat=0.4),
        "transformer_init_scale": Spot(heat=0.4),
        "resid_lambda_init": Spot(heat=0.6),
        "adam_beta1": Spot(heat=0.4),
    }
)
"""Which knobs eat memory, and which heat a training until it diverges. Weights are an assumption."""

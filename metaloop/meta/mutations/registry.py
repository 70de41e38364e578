"""All mutations, by name."""

from __future__ import annotations

from metaloop.meta.mutations.crossover import CROSSOVER
from metaloop.meta.mutations.null import Null
from metaloop.meta.mutations.operator import Mutation
from metaloop.meta.mutations.parametric import Parametric
from metaloop.meta.mutations.structural import STRUCTURAL
from metaloop.meta.mutations.textual import Rewriter, Textual

MOST_VALUES = 3
"""Values that one parametric mutation turns at most: a diff that is read at a glance."""


def operators(rewriter: Rewriter | None) -> tuple[Mutation, ...]:
    """Every mutation there is, the null one first; the textual one where somebody can rewrite."""
    textual = () if rewriter is None else (Textual(rewriter),)
    return (Null(), Parametric(MOST_VALUES), *STRUCTURAL, *CROSSOVER, *textual)

"""Options of the commands whose members may be models: who thinks, by which cards, and what it may cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from metaloop.edges.commands.options import F
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.text import nearest

_THINKING = (
    click.option(
        "--model",
        "model",
        multiple=True,
        metavar="[ORG=]NAME",
        help="Who thinks for members that inherit their organization's model: `scripted`, or one of the models file. "
        "NAME holds for every organization named (controls too), ORG=NAME for that one and goes first; may be "
        "repeated [default: what ORG.md says].",
    ),
    click.option(
        "--models",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        default=None,
        help="What role files' models are, where they are served and what they cost, as YAML [default: the models.yaml "
        "that is shipped; OPENAI_BASE_URL and OPENAI_API_KEY say where and who].",
    ),
    click.option("--max-tokens", type=click.IntRange(1), help="Tokens of each org run: it then winds up."),
    click.option(
        "--max-usd", type=click.FloatRange(0.0, min_open=True), help="Dollars of each org run's models, likewise."
    ),
    click.option("--max-total-tokens", type=click.IntRange(1), help="Tokens of all org runs together."),
    click.option(
        "--max-total-usd", type=click.FloatRange(0.0, min_open=True), help="Dollars of all org runs together."
    ),
)


def thinking_options(command: F) -> F:
    """The options of a command whose members may be models."""
    for option in reversed(_THINKING):
        command = option(command)
    return command


def models_by_organization(
    given: Sequence[str], organizations: Collection[str], others: Collection[str] = ()
) -> dict[str, str]:
    """Organization to the model that takes the place of its own; those that keep theirs are absent.

    ``given`` are the values of ``--model``; a later one goes over an earlier one of its kind. ``others`` keep theirs
    unless they are named.

    Raises:
        UsageError: a value names an organization that is neither among ``organizations`` nor ``others``, or no model.
    """
    known = tuple(dict.fromkeys((*organizations, *others)))
    named: dict[str, str] = {}
    everybody = ""
    for value in given:
        organization, equals, model = value.rpartition("=")
        if not model or (equals and not organization):
            raise UsageError(f"--model must be NAME or ORG=NAME, got {value!r}. Name a model, or `scripted`.")
        if not equals:
            everybody = model
        elif organization in known:
            named[organization] = model
        else:
            raise UsageError(
                f"--model {value} names no organization of this command: {organization!r}"
                f"{nearest(organization, known)}. Known: {', '.join(known)}."
            )
    return (dict.fromkeys(organizations, everybody) if everybody else {}) | named

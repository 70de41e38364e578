"""Mutations: an organization in, a valid organization out that differs only where it was mutated.

One file for each kind: :mod:`parametric <metaloop.meta.mutations.parametric>` turns typed values,
:mod:`structural <metaloop.meta.mutations.structural>` members and how they work together,
:mod:`crossover <metaloop.meta.mutations.crossover>` takes members over from another organization,
:mod:`textual <metaloop.meta.mutations.textual>` rewrites a role's prose from evidence, and
:mod:`null <metaloop.meta.mutations.null>` changes nothing. :func:`metaloop.meta.mutations.registry.operators` lists
them all.
"""

"""The meta-loop: mutate organizations, race them over rungs, and hand over the better one.

    opening → generations of races, simulated → races on real trainings → confirmation → an unseen world

:mod:`terms <metaloop.meta.evolution.terms>` has the records, :mod:`plan <metaloop.meta.evolution.plan>` what it will
cost, :mod:`breeding <metaloop.meta.evolution.breeding>` the children,
:mod:`evolve <metaloop.meta.evolution.evolve>` the loop itself. The loop is a function of its terms and of what its
org runs scored: an evolution that was killed is resumed by running it again over what was measured, so nothing is
paid twice and nothing else needs to be saved.
"""

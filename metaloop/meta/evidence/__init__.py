"""The evidence that is handed over with an evolved organization: what it gains, and what it gains it by.

Nothing here runs anything. :mod:`ablation <metaloop.meta.evidence.ablation>` and
:mod:`credit <metaloop.meta.evidence.credit>` say which organizations have to be run; the other modules digest what
came back, and :mod:`report <metaloop.meta.evidence.report>` gathers it in one record.
"""

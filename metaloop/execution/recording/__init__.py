"""Recorded trainings: which to make (``design``), how they are kept (``table``), making them (``record``)."""

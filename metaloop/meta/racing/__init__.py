"""Racing: which organization is better, for as few org runs as that takes. Pure; who runs the jobs is not said here."""

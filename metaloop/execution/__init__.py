"""Floor 4: where org runs happen: backends, trainers, run folders."""

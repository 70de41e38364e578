"""Floor 1: files and ledger. Role and organization files, journal, research queue, git repository, budget."""

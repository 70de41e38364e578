"""Floor 3: the members of an organization and the controller of an org run, as plain sans-I/O classes."""

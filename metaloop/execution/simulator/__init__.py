"""The simulator: whole org runs in virtual time, on a described cluster, from one seed."""

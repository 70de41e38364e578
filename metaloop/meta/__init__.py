"""Floor 5: statistics, confirmation, comparison, mutation, the meta-loop."""

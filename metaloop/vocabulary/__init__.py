"""Floor 0: the words every other floor speaks. Records, errors, the clock and the named seed streams."""

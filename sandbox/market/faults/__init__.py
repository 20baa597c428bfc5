"""How the market plays its faults: a family a module."""

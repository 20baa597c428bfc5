"""The faults that the market plays, one module for each kind."""

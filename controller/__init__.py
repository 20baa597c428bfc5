"""Own the count of elastic fleets. The modules directly in this package are pure rules: no I/O, no clock, no process."""

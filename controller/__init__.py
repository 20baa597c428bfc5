"""Own the count of elastic fleets. So far pure rules alone: no I/O, no clock, no process."""

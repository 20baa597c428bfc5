"""The emulated GPU market: what vast.ai's HTTP API does, on loopback, with a clock, a meter and faults."""

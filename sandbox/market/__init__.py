"""The emulated GPU market: vast.ai's HTTP API on loopback, with a clock, a meter and faults."""

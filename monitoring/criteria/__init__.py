"""The success criteria of a fleet: provisioning, latency and cost, each with a bound."""

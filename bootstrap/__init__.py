"""Bring a host from "reachable over SSH" to "answers a completion". Knows neither Pulumi nor a market.

`converge` reads facts, plans steps from facts and spec, applies them, and reads the facts again.
One file a step: connect, preflight, install, fetch, start, probe.
"""

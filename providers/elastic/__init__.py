"""Elastic fleets: what an `up` of the main stack applied, and what the stack of one slot tells."""

"""Elastic fleets: the output that an `up` of the main stack applied, and the output of one slot's stack."""

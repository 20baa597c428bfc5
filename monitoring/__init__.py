"""Metrics of the fleet: what hosts and exporter report, the queries over it, and dashboards, alerts and report."""

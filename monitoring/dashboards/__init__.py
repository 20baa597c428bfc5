"""Dashboards as data: panels with queries and units. Grafana and the report draw them."""

"""Four dashboards as data: what is drawn, with which query, in which unit. Grafana and the report draw it."""

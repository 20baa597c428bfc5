"""Makes one HTML page from Prometheus: verdicts, alerts, phases of each instance, and every panel of the dashboards."""

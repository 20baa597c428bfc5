"""The host's agent: exports the host's metrics. Standard library and prometheus_client only; Python 3.10 or later."""

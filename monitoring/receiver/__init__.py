"""The receiver: a write-only front of Prometheus. A rented host may write its own series, and nothing else."""

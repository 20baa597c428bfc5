"""The fleet exporter: ledger, inventory and charges joined into metrics."""

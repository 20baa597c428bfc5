"""The write-only door in front of Prometheus: hosts that are somebody else's may write their own series, and nothing more."""

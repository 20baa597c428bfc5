"""One HTML page out of Prometheus: verdicts, money, phases, and every panel drawn."""

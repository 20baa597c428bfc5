"""The ledger: an append-only record of attempts and ends, and its verdicts on machines."""

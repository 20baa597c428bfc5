"""The ledger: an append-only record of attempts and ends, and what it says about machines."""

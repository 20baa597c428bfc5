"""What the fleets' money bought: the ledger's rentals, Prometheus' use of them, and list prices of hosted APIs."""

"""The worth of the fleets' money: the ledger's rentals, Prometheus' use of them, and list prices of hosted APIs."""

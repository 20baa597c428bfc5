"""Search and rank: what a fleet requires, what the market offers, and why nothing fits."""

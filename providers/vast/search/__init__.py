"""Search and rank: a fleet's requirements, the market's offers, and the reason if none fits."""

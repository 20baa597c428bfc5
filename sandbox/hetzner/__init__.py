"""An emulated Hetzner Cloud API: the part that a cluster of one node needs."""

"""Make the stack's own cluster: one server on Hetzner Cloud with k3s.

`components/hetzner.py` declares Hetzner's resources. The functions here check the account before Pulumi makes anything.
They write the server's files, and make k3s on the server follow stack config.
"""

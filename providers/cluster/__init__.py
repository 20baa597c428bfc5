"""Make the stack's own cluster: one server on Hetzner Cloud with k3s.

`components/hetzner.py` declares Hetzner's resources. The functions here write the server's files, check the account before
Pulumi makes anything, and bring k3s on the server to the state that stack config asks for.
"""

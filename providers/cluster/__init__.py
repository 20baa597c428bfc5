"""Make the stack's own cluster: one server on Hetzner Cloud with k3s.

`components/hetzner.py` declares what Hetzner gives. The functions here say what the server gets, check the account before
anything is made, and bring k3s on the server to what stack config says.
"""

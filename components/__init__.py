"""Composes resources; no other folder does. `config` validates stack config for them."""

"""Make a stack's identity once and keep it in state: stack id, SSH key, CA and token secret.

Nothing here needs an account or a network.
"""

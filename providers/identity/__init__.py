"""What a stack makes itself, once, and keeps in its state: stack id, SSH key, CA and token secret.

Nothing here needs an account or a network.
"""

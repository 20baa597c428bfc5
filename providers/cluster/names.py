"""Words that the program and the API client share."""

OWNER = "gpu-fleet"  # label with the stack id, of all that a stack makes at Hetzner
LOAD_BALANCER = "lb11"
TOKEN_LETTERS = 64

"""The controller's HTTP API: ask for instances, follow them, give them back."""

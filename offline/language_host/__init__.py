"""A Python language host for a Pulumi engine that was built from its Go module: that build brings none."""

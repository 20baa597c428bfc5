"""The Pulumi engine where it cannot be downloaded: its Go module to build, and the Python language host it lacks
there."""

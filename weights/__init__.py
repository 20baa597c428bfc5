"""Model weights: manifests, hashing, what a model is, and downloads from a hub."""

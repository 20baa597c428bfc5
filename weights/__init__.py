"""Describe model weights: manifests, hashing, facts about a model, and downloads from a hub."""

"""The monitoring stack on Kubernetes: pure functions that return manifests, as kubectl takes them, without Secrets."""

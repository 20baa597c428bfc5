"""The monitoring stack on Kubernetes as manifests: pure documents, as kubectl would take them. Secrets are not among them."""

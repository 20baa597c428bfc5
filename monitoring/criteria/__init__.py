"""What the fleet is judged by: provisioning, latency, cost."""

"""The facts of a host on which nothing of ours is yet."""

from typing import Any

EMPTY: dict[str, Any] = {
    "gpus": "NVIDIA GeForce RTX 4090, 24564, 570.124.06\n",
    "shm_free_mb": 1000,
    "disk_free_mb": 100_000,
    "memory_mb": 64_000,
    "cuda": 12.8,
    "cpu_cores": 16.0,
    "clock": None,
    "python": "/usr/bin/python3",
    "vllm": None,
    "kit": None,
    "model_files": {},
    "model_verified": False,
    "vllm_wanted": None,
    "vllm_started": None,
    "vllm_healthy": False,
    "gate_wanted": None,
    "gate_started": None,
    "gate_open": False,
    "certificate": None,
    "certificate_epoch": None,
    "token_digest": None,
    "previous_token": False,
    "agent_wanted": None,
    "agent_started": None,
    "vmagent_wanted": None,
    "vmagent_started": None,
    "metrics_password": None,
}

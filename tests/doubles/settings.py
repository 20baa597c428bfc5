"""Inputs of one VastInstance as the engine would pass them."""

from typing import Any

_FILE = {"path": "model.safetensors", "size": 10, "sha256": "0" * 64, "parts": ["0" * 64]}

PROPS: dict[str, Any] = {
    "name": "chat-0",
    "label": "gpu-fleet/abc/chat-0",
    "turn": 0,
    "market": {"url": "http://127.0.0.1:1", "timeScale": 30},
    "store": {"endpoint": "https://s3.sandbox.internal", "region": "sandbox", "bucket": "bucket"},
    "wishes": {
        "gpuNames": ["RTX 4090"],
        "gpuCount": 1,
        "maxUsdPerHour": 0.5,
        "reliability": 0.9,
        "downloadMbps": 100,
    },
    "limits": {"attempts": 3, "bootMinutes": 15, "totalMinutes": 45, "expectedHours": 8},
    "server": {
        "image": "vllm/vllm-openai:v0.32.0",
        "modelName": "tiny",
        "arguments": [],
        "environment": {},
        "port": 8443,
    },
    "diskGb": 48,
    "model": {"name": "tiny", "files": [_FILE]},
    "kit": {"name": "kit", "files": [{**_FILE, "path": "kit.tar"}]},
    "access": {
        "sshPublicKey": "ssh-ed25519 AAAA test",
        "sshPrivateKey": "not a key",
        "caCertificate": "not a certificate",
        "caKey": "not a key either",
        "token": "0123456789abcdef0123456789abcdef0123456789a",
        "certificateEpoch": 0,
    },
}

"""Parses the command line of vLLM's API server as far as the fake vLLM supports it. It refuses unknown options, as
vLLM does.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

# Option -> type. Accepted and without effect, because the fake vLLM computes nothing.
VALUED: dict[str, type] = {
    "--tokenizer": str,
    "--dtype": str,
    "--quantization": str,
    "--load-format": str,
    "--kv-cache-dtype": str,
    "--chat-template": str,
    "--tool-call-parser": str,
    "--reasoning-parser": str,
    "--uvicorn-log-level": str,
    "--root-path": str,
    "--swap-space": float,
    "--gpu-memory-utilization": float,
    "--seed": int,
    "--block-size": int,
    "--max-num-seqs": int,
    "--max-num-batched-tokens": int,
    "--tensor-parallel-size": int,
    "--pipeline-parallel-size": int,
    "--data-parallel-size": int,
    "--shutdown-timeout": int,
}
SWITCHES = (
    "--enforce-eager",
    "--trust-remote-code",
    "--enable-prefix-caching",
    "--no-enable-prefix-caching",
    "--enable-chunked-prefill",
    "--enable-auto-tool-choice",
    "--disable-log-stats",
    "--disable-log-requests",
    "--enable-log-requests",
    "--disable-uvicorn-access-log",
    "--disable-fastapi-docs",
)


class Arguments(argparse.Namespace):
    """The options that change the fake vLLM's behaviour."""

    model: Path
    served_model_name: list[str]
    host: str
    port: int
    max_model_len: int | None
    api_key: list[str] | None
    disable_fastapi_docs: bool


def parse(arguments: Sequence[str]) -> Arguments:
    """Read the command line. An unknown argument or a bad value ends the process with status 2 and a usage line."""
    parser = argparse.ArgumentParser(prog="api_server.py", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", nargs="+", default=[])
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--api-key", nargs="*")
    for option, kind in VALUED.items():
        parser.add_argument(option, type=kind)
    for option in SWITCHES:
        parser.add_argument(option, action="store_true")
    found = parser.parse_args(arguments, namespace=Arguments())
    found.served_model_name = found.served_model_name or [str(found.model)]
    return found

"""Carry vLLM's compile cache, the output of torch.compile, from one start on a machine to the next.

The cache is executable code. An archive from a landlord's machine goes only to that machine again, or to stacks that pin
its digest in a committed file. It holds plain files only, none of our secrets, and travels over SSH.
"""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Collection
from pathlib import PurePosixPath

from bootstrap.errors import StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.remote_scripts import shell
from bootstrap.spec import CACHE_FOLDER, EndpointSpec

MOST_BYTES = 200 * 2**20  # packed; and eight times that unpacked
UNPACKED = 8
PARTS = ("torch_compile_cache", "inductor", "triton")  # the folders of vLLM's cache that hold compiled code
MARKS = (b"PRIVATE KEY", b"X-Amz-Signature", b"Authorization: Bearer")
TAKE_SECONDS = 120.0


def warm_key(spec: EndpointSpec, facts: Facts) -> str:
    """Return the digest of everything that a cache depends on: image, GPUs, driver, model, arguments and environment."""
    parts = {
        "image": spec.image,
        "gpus": [(gpu.name, gpu.driver) for gpu in facts.gpus],
        "model": spec.model.digest,
        "arguments": spec.vllm_args,
        "environment": spec.env,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def bring(host: Host, name: str, archive: bytes) -> str:
    """Put a cache in place before vLLM starts; return why it is not used, empty if it is. Raises StepFailed, HostLost.

    An unfit archive is no fault of the host: vLLM then compiles, as it does without a cache.
    """
    if problem := unfit(archive, ()):
        return problem
    host.put(archive, f"{CACHE_FOLDER}.tar.gz", 0o600)
    fresh = f"{CACHE_FOLDER}.new"
    command = (
        f"rm -rf {fresh} {CACHE_FOLDER} && mkdir -p {fresh} && tar -xzf {CACHE_FOLDER}.tar.gz -C {fresh} && "
        f"rm {CACHE_FOLDER}.tar.gz && mv {fresh} {CACHE_FOLDER}"
    )
    shell(host, command, f"{name}: the kept compile cache could not be put in place", timeout=TAKE_SECONDS)
    return ""


def take(host: Host, name: str) -> bytes:
    """Return the cache as a tar.gz; empty if vLLM has made none. Raises StepFailed, HostLost."""
    # base64, because a host's commands print text. One byte more than is accepted shows that the archive is too long.
    command = (
        f"cd {CACHE_FOLDER} 2>/dev/null || exit 0; set -- $(ls -d {' '.join(PARTS)} 2>/dev/null); "
        f'[ $# = 0 ] || tar -cz "$@" | head -c {MOST_BYTES + 1} | base64 -w0'
    )
    result = shell(host, command, f"{name}: the compile cache could not be read", timeout=TAKE_SECONDS)
    try:
        return base64.b64decode(result.stdout, validate=True)
    except ValueError:
        raise StepFailed(f"{name}: the compile cache does not come as base64") from None


def unfit(archive: bytes, secrets: Collection[str]) -> str:
    """Return why an archive may neither be kept nor used; empty if it may. Nothing is unpacked to a disk."""
    if len(archive) > MOST_BYTES:
        return f"it has more than {MOST_BYTES >> 20} MB"
    hidden = [*MARKS, *(secret.encode() for secret in secrets if secret)]
    left = UNPACKED * MOST_BYTES
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as entries:
            for entry in entries:
                path = PurePosixPath(entry.name)
                if path.is_absolute() or ".." in path.parts or not (entry.isreg() or entry.isdir()):
                    return f"{entry.name[:80]!r} is no plain file inside it"
                left -= entry.size
                if left < 0:
                    return "it unpacks to more than it should"
                stream = entries.extractfile(entry)
                content = stream.read() if stream else b""
                if any(mark in content for mark in hidden):
                    return f"{entry.name[:80]!r} holds a secret"
    except (tarfile.TarError, EOFError, OSError, ValueError):
        return "it is no whole archive"
    return ""

"""Replace this process by vLLM as vllm.wanted says: own session, own log, and a mark of the configuration.

Standard library only; runs on the host's own Python. The environment is the container's own, which an SSH session lacks,
so that every start of vLLM gets the same. The mark, vllm.started, is the digest of the configuration that this process
read. A later change of the file, also by hand, shows as a difference.
"""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

WANTED = Path("/opt/gpu-fleet/etc/vllm.wanted")
RUN = Path("/run/gpu-fleet")
LOG = Path("/var/log/gpu-fleet/vllm.log")
LOG_BYTES = 32 * 2**20
CONTAINER = Path("/proc/1/environ")
LOOK_SECONDS = 30


def main() -> None:
    """Become vLLM."""
    text = WANTED.read_bytes()
    config = json.loads(text)
    digest = hashlib.sha256(text.strip()).hexdigest()
    if os.getpid() != os.getsid(0):
        os.setsid()
    (RUN / "vllm.group").write_text(str(os.getpid()))
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(
        log,
        f"\n=== gpu-fleet starts vLLM, configuration {digest[:12]}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode(),
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    keep_log_short()
    (RUN / "vllm.started").write_text(digest)
    os.execvpe(config["argv"][0], config["argv"], {**container(), **config["environment"]})


def container():
    """Return the environment of the container's first process, or our own if that cannot be read."""
    try:
        lines = CONTAINER.read_bytes().split(b"\0")
    except OSError:
        lines = []
    found = {os.fsdecode(name): os.fsdecode(value) for name, sign, value in (o.partition(b"=") for o in lines) if sign}
    if not found:
        return dict(os.environ)
    # The first process of some containers lacks these two, and vLLM needs both.
    return {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ} | found


def keep_log_short() -> None:
    """Start a process that copies and truncates a long log; it ends with vLLM's group.

    It is a grandchild, so that vLLM has no unknown child. It truncates, because vLLM keeps the file open.
    """
    if os.fork():
        os.wait()
        return
    if os.fork():
        os._exit(0)
    while True:
        time.sleep(LOOK_SECONDS)
        if LOG.stat().st_size > LOG_BYTES:
            shutil.copyfile(LOG, LOG.with_suffix(".log.1"))
            os.truncate(LOG, 0)


main()

"""Replace this process by vLLM as vllm.wanted says: own session, own log, and a mark of what was started.

Standard library only; runs on the host's own Python. The mark is the digest of the order that this very process carries
out, so that an order changed later, or by hand, shows as a difference.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

ORDER = Path("/opt/gpu-fleet/etc/vllm.wanted")
RUN = Path("/run/gpu-fleet")
LOG = Path("/var/log/gpu-fleet/vllm.log")
LOG_BYTES = 32 * 2**20


def main() -> None:
    """Become vLLM."""
    text = ORDER.read_bytes()
    order = json.loads(text)
    if os.getpid() != os.getsid(0):
        os.setsid()
    (RUN / "vllm.group").write_text(str(os.getpid()))
    (RUN / "vllm.started").write_text(hashlib.sha256(text.strip()).hexdigest())
    if LOG.exists() and LOG.stat().st_size > LOG_BYTES:
        LOG.replace(LOG.with_suffix(".log.1"))
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout.flush()
    os.execvpe(order["argv"][0], order["argv"], {**os.environ, **order["environment"]})


main()

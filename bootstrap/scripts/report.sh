#!/bin/sh
# Waits until agent and vmagent listen, which is more than having been started; eight seconds at most.
python3 -S - <<'PYTHON' && exit 0
import socket
import sys
import time

end = time.monotonic() + 8
for port in (9181, 9182):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > end:
                sys.exit(1)
            time.sleep(0.05)
PYTHON
tail -n 3 /var/log/gpu-fleet/agent.log /var/log/gpu-fleet/vmagent.log >&2
exit 1

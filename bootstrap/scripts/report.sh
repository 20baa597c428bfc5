#!/bin/sh
# Waits until agent and vmagent listen, eight seconds at most; a started service may not listen yet. Then connects to the
# receiver and prints why that fails. The metrics wait on this disk until the receiver can be reached.
. /opt/gpu-fleet/etc/vmagent.wanted
python3 -S - "$URL" <<'PYTHON' && exit 0
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

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
receiver = urlsplit(sys.argv[1])
try:
    with socket.create_connection((receiver.hostname, receiver.port or 443), timeout=3) as plain:
        ssl.create_default_context().wrap_socket(plain, server_hostname=receiver.hostname).close()
except (OSError, ValueError) as error:
    print(f"{receiver.netloc}: {error}")
PYTHON
tail -n 3 /var/log/gpu-fleet/agent.log /var/log/gpu-fleet/vmagent.log >&2
exit 1

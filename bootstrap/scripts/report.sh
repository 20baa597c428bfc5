#!/bin/sh
# Waits until agent and vmagent listen, which is more than having been started, eight seconds at most; then looks whether the
# door can be reached from here, and prints why not: what is to be sent waits on this disk meanwhile.
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
door = urlsplit(sys.argv[1])
try:
    with socket.create_connection((door.hostname, door.port or 443), timeout=3) as plain:
        ssl.create_default_context().wrap_socket(plain, server_hostname=door.hostname).close()
except (OSError, ValueError) as error:
    print(f"{door.netloc}: {error}")
PYTHON
tail -n 3 /var/log/gpu-fleet/agent.log /var/log/gpu-fleet/vmagent.log >&2
exit 1

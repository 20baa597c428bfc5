#!/bin/sh
# Closes the gate and waits until no admitted request is under way, $1 seconds at most.
rm -f /run/gpu-fleet/open
sleep 0.5
end=$(($(date +%s) + ${1:-30}))
while [ "$(date +%s)" -lt "$end" ]; do
    busy=$(python3 -S - <<'PYTHON'
import urllib.request

try:
    text = urllib.request.urlopen("http://127.0.0.1:9180/metrics", timeout=2).read().decode()
except OSError:
    text = ""
print(sum(float(l.rsplit(" ", 1)[1]) for l in text.splitlines() if l.startswith("caddy_http_requests_in_flight") and 'server="door"' in l))
PYTHON
)
    [ "${busy%.*}" = 0 ] && exit 0
    sleep 0.2
done
exit 1

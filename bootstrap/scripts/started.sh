#!/bin/sh
# Waits until a service runs with the configuration in $1.wanted, ten seconds at most; else prints the end of its log.
# `sv up` returns before the service has started, and the supervisor waits a second after a service that ended early.
wanted=$(sha256sum "/opt/gpu-fleet/etc/$1.wanted" | cut -d' ' -f1)
for _look in $(seq 100); do
    [ "$(cat "/run/gpu-fleet/$1.started" 2>/dev/null)" = "$wanted" ] && exit 0
    sleep 0.1
done
tail -n 3 "/var/log/gpu-fleet/$1.log" >&2
exit 1

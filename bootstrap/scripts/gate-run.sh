#!/bin/sh
export XDG_DATA_HOME=/opt/gpu-fleet/caddy XDG_CONFIG_HOME=/opt/gpu-fleet/caddy
exec >>/var/log/gpu-fleet/gate.log 2>&1
[ -x /opt/gpu-fleet/kit/bin/caddy ] || exit 1 # else it would seem to have started, for a moment at each try
sha256sum /opt/gpu-fleet/etc/gate.wanted | cut -d' ' -f1 >/run/gpu-fleet/gate.started
exec /opt/gpu-fleet/kit/bin/caddy run --config /opt/gpu-fleet/etc/gate.wanted --adapter caddyfile

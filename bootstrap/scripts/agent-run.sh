#!/bin/sh
# Runs our agent, which serves this host's metrics on loopback for vmagent.
exec >>/var/log/gpu-fleet/agent.log 2>&1
[ -e /opt/gpu-fleet/kit/lib/monitoring/agent ] || exit 1 # else it would seem to have started, for a moment at each try
sha256sum /opt/gpu-fleet/etc/agent.wanted | cut -d' ' -f1 >/run/gpu-fleet/agent.started
export PYTHONPATH=/opt/gpu-fleet/kit/lib PYTHONDONTWRITEBYTECODE=1
exec python3 -S -m monitoring.agent /opt/gpu-fleet/etc/agent.wanted

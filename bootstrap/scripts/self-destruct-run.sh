#!/bin/sh
# Ends this host when its limits in self-destruct.wanted say so.
exec >>/var/log/gpu-fleet/self-destruct.log 2>&1
[ -e /opt/gpu-fleet/kit/self_destruct.py ] || exit 1 # else it would seem to have started, for a moment at each try
sha256sum /opt/gpu-fleet/etc/self-destruct.wanted | cut -d' ' -f1 >/run/gpu-fleet/self-destruct.started
export PYTHONDONTWRITEBYTECODE=1
exec python3 -S /opt/gpu-fleet/kit/self_destruct.py

#!/bin/sh
# Stops a service, by force after $2 seconds, and returns once its supervisor keeps it down.
# `sv` alone is not enough. Between an end and the restart a second later, it says "ok: down" before the supervisor reads
# its request. The supervisor then drops an `sv up` right after, because the service still counts as wanted up. The
# service would stay down for good.
kit=/opt/gpu-fleet/kit
folder=/opt/gpu-fleet/service/$1
PATH=$kit/bin:$PATH
sv -w "$2" force-stop "$folder"
for _look in $(seq 50); do
    case $(sv status "$folder") in
    *", want up"*) ;;
    down:*) exit 0 ;;
    esac
    sleep 0.1
done
echo "$1 does not stop: $(sv status "$folder")" >&2
exit 1

#!/bin/sh
# Runs at every start of the instance: closed until somebody proves the endpoint again, then the supervisor.
# Running it twice is harmless.
umask 077
run=/run/gpu-fleet
kit=/opt/gpu-fleet/kit
service=/opt/gpu-fleet/service
if [ -s $run/supervisor.pid ] && kill -0 "$(cat $run/supervisor.pid)" 2>/dev/null; then
    exit 0
fi
rm -rf $run
mkdir -p $run $service /var/log/gpu-fleet /workspace/models
# The start script of the rent call puts back the key that it was rented with; a key that was changed since then wins.
[ -s /opt/gpu-fleet/etc/authorized_keys ] && cp -p /opt/gpu-fleet/etc/authorized_keys /root/.ssh/authorized_keys
for name in vllm gate; do
    [ -e /opt/gpu-fleet/etc/$name.wanted ] || continue
    "$kit/service.sh" $name
done
# shellcheck disable=SC2086 # a path of ours, without blanks
PATH=$kit/bin:$PATH setsid $kit/bin/runsvdir -P $service </dev/null >/var/log/gpu-fleet/supervisor.log 2>&1 &
echo $! >$run/supervisor.pid

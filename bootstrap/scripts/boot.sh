#!/bin/sh
# Runs at every start of the instance: closes the gate until a convergence proves the endpoint again, then starts the
# supervisor. Running it twice is harmless.
umask 077
run=/run/gpu-fleet
kit=/opt/gpu-fleet/kit
service=/opt/gpu-fleet/service
mkdir -p $run $service /opt/gpu-fleet/etc /var/log/gpu-fleet /workspace/models
supervisor=$(cat $run/supervisor.pid 2>/dev/null)
if [ -n "$supervisor" ] && [ "$(cat "/proc/$supervisor/comm" 2>/dev/null)" = runsvdir ]; then
    exit 0
fi
# /run may survive a restart of the container. An old open file would let unproven answers out, and an old process number
# may belong to another process now. If services run without their supervisor, only the gate is closed.
rm -f $run/open $run/leaving.closed
if ! grep -qsx runsv /proc/[0-9]*/comm; then
    rm -rf $run $service/*/supervise
    mkdir $run
fi
# The start script of the rent call restores the key of the rent; a key that was changed since then replaces it.
[ -s /opt/gpu-fleet/etc/authorized_keys ] && cp -p /opt/gpu-fleet/etc/authorized_keys /root/.ssh/authorized_keys
for name in vllm gate agent vmagent self-destruct; do
    "$kit/service.sh" $name
done
# Its own session and none of our files open, so that it survives the login that started it.
PATH=$kit/bin:$PATH setsid $kit/bin/runsvdir -P $service </dev/null >>/var/log/gpu-fleet/supervisor.log 2>&1 &
echo $! >$run/supervisor.pid

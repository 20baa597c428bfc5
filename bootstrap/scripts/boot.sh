#!/bin/sh
# Runs at every start of the instance: closed until somebody proves the endpoint again, then the supervisor.
# Running it twice is harmless.
umask 077
run=/run/gpu-fleet
kit=/opt/gpu-fleet/kit
service=/opt/gpu-fleet/service
# /run may outlive a restart of a container. What is in it counts only for the PID 1 under which it was written: an open
# file of before would serve unproven, and a process number of before is somebody else's now.
born=$(sed 's/.*) //' /proc/1/stat | cut -d' ' -f20)
if [ "$(cat $run/born 2>/dev/null)" != "$born" ]; then
    rm -rf $run
    rm -rf $service/*/supervise
    mkdir -p $run
    echo "$born" >$run/born
fi
mkdir -p $service /opt/gpu-fleet/etc /var/log/gpu-fleet /workspace/models
if [ -s $run/supervisor.pid ] && kill -0 "$(cat $run/supervisor.pid)" 2>/dev/null; then
    exit 0
fi
# The start script of the rent call puts back the key that it was rented with; a key that was changed since then wins.
[ -s /opt/gpu-fleet/etc/authorized_keys ] && cp -p /opt/gpu-fleet/etc/authorized_keys /root/.ssh/authorized_keys
for name in vllm gate; do
    [ -e /opt/gpu-fleet/etc/$name.wanted ] || continue
    "$kit/service.sh" $name
done
# A session of its own and no file of ours open: it outlives the login that started it.
PATH=$kit/bin:$PATH setsid $kit/bin/runsvdir -P $service </dev/null >>/var/log/gpu-fleet/supervisor.log 2>&1 &
echo $! >$run/supervisor.pid

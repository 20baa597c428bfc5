#!/bin/sh
# Runs after every end of vLLM: kills its children, removes its files in shared memory, and keeps its exit code and the end
# of its log. `kill -9 -GROUP`, because dash does not know `kill -KILL -- -GROUP`. A killed process takes a while to free
# its memory and the GPU's; the next vLLM must not start before that.
run=/run/gpu-fleet
rm -f $run/vllm.started
group=$(cat $run/vllm.group 2>/dev/null)
rm -f $run/vllm.group
looks=200
while [ -n "$group" ] && [ $looks -gt 0 ] && kill -9 "-$group" 2>/dev/null; do
	looks=$((looks - 1))
	sleep 0.05
done
rm -f /dev/shm/psm_* /dev/shm/sem.mp-*
tail -c 20000 /var/log/gpu-fleet/vllm.log >$run/vllm.last 2>/dev/null
echo "$1 $2" >>$run/vllm.ends
exit 0

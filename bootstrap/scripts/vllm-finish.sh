#!/bin/sh
# After every end of vLLM, however it came: its children end too, what it left in shared memory goes, its end is noted
# together with its last words. `kill -9 -GROUP` and not `kill -KILL -- -GROUP`: dash does not know the latter. A killed
# process takes a while to let go of its memory, also the GPU's: the next vLLM must not start into that.
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

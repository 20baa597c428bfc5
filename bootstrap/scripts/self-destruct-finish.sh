#!/bin/sh
rm -f /run/gpu-fleet/self-destruct.started
exit 0

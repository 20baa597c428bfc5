#!/bin/sh
# Runs vLLM in a session of its own, so that all its children can be killed with it.
exec /usr/bin/env python3 -S /opt/gpu-fleet/kit/vllm_run.py

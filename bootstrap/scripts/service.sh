#!/bin/sh
# Declares one supervised service (vllm, gate, agent, vmagent, self-destruct). It starts with the supervisor once <name>.wanted exists.
# boot.sh declares all before the supervisor starts, which looks for new services every five seconds only.
set -e
name=$1
kit=/opt/gpu-fleet/kit
folder=/opt/gpu-fleet/service/$name
if [ ! -d "$folder" ]; then
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    ln -s "$kit/$name-run.sh" "$folder.new/run"
    ln -s "$kit/$name-finish.sh" "$folder.new/finish"
    touch "$folder.new/down"
    mv "$folder.new" "$folder"
fi
if [ -e "/opt/gpu-fleet/etc/$name.wanted" ]; then
    rm -f "$folder/down"
fi

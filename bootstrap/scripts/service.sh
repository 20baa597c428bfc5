#!/bin/sh
# Declares one supervised service (vllm or gate). The supervisor notices the folder within five seconds by itself.
set -e
name=$1
kit=/opt/gpu-fleet/kit
folder=/opt/gpu-fleet/service/$name
mkdir -p "$folder.new"
ln -sf "$kit/$name-run.sh" "$folder.new/run"
ln -sf "$kit/$name-finish.sh" "$folder.new/finish"
rm -rf "$folder/supervise"
if [ -d "$folder" ]; then
    rm -rf "$folder.new"
else
    mv "$folder.new" "$folder"
fi

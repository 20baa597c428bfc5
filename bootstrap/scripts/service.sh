#!/bin/sh
# Declares one supervised service (vllm or gate). The supervisor notices the folder within five seconds by itself.
set -e
name=$1
kit=/opt/gpu-fleet/kit
folder=/opt/gpu-fleet/service/$name
[ ! -d "$folder" ] || exit 0
rm -rf "$folder.new"
mkdir -p "$folder.new"
ln -s "$kit/$name-run.sh" "$folder.new/run"
ln -s "$kit/$name-finish.sh" "$folder.new/finish"
mv "$folder.new" "$folder"

#!/bin/sh
# Unpacks a fetched and verified kit and switches to it; $1 is its digest. Its folder appears under its name when whole.
set -e
umask 077
kits=/opt/gpu-fleet/kits
mkdir -p $kits /opt/gpu-fleet/etc /opt/gpu-fleet/service
if [ ! -d "$kits/$1" ]; then
    rm -rf "$kits/$1.part"
    mkdir "$kits/$1.part"
    tar -xf "/opt/gpu-fleet/incoming/$1/kit.tar" -C "$kits/$1.part"
    mv "$kits/$1.part" "$kits/$1"
fi
ln -sfn "$kits/$1" /opt/gpu-fleet/kit.new
mv -T /opt/gpu-fleet/kit.new /opt/gpu-fleet/kit
rm -rf /opt/gpu-fleet/incoming
/opt/gpu-fleet/kit/boot.sh

#!/bin/sh
# Makes the gate's key in its final folder, and prints a request for its certificate. The key never leaves this host.
set -e
umask 077
cd /opt/gpu-fleet/etc
openssl ecparam -name prime256v1 -genkey -noout -out tls.key.new
openssl req -new -key tls.key.new -subj /CN=gpu-fleet -batch

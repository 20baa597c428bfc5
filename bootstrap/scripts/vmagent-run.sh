#!/bin/sh
# Sends the metrics of vLLM and the agent to the receiver, and keeps them on disk while the receiver does not take them.
# vmagent.wanted sets URL, INTERVAL and METRICS_USER. The password is in a file, so that no process's arguments show it.
exec >>/var/log/gpu-fleet/vmagent.log 2>&1
etc=/opt/gpu-fleet/etc
kit=/opt/gpu-fleet/kit
[ -x $kit/bin/vmagent ] || exit 1 # else it would seem to have started, for a moment at each try
sha256sum $etc/vmagent.wanted | cut -d' ' -f1 >/run/gpu-fleet/vmagent.started
. $etc/vmagent.wanted
export INTERVAL GOGC=50
exec $kit/bin/vmagent \
    -promscrape.config=$kit/scrape.yml \
    -remoteWrite.relabelConfig=$kit/keep.yml \
    -remoteWrite.url="$URL" \
    -remoteWrite.basicAuth.username="$METRICS_USER" \
    -remoteWrite.basicAuth.passwordFile=$etc/metrics.password \
    -remoteWrite.forcePromProto \
    -remoteWrite.tmpDataPath=/workspace/metrics \
    -remoteWrite.maxDiskUsagePerURL=600MB \
    -remoteWrite.queues=1 \
    -remoteWrite.flushInterval=1s \
    -remoteWrite.retryMinInterval=1s \
    -remoteWrite.retryMaxTime=15s \
    -remoteWrite.maxBlockSize=1MB \
    -remoteWrite.maxRowsPerBlock=5000 \
    -memory.allowedBytes=24MB \
    -httpListenAddr=127.0.0.1:9182 \
    -loggerLevel=WARN

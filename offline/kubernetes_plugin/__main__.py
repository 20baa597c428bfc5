"""The plugin's process: serves until the engine ends it, or ends itself, and prints its port on the first line."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from offline.kubernetes_plugin.plugin import Plugin

CALLS_AT_ONCE = 32
LOOK_SECONDS = 1.0


def main() -> None:
    """Serve on a free port of loopback for as long as our parent lives: the launcher execs, so that is the engine."""
    engine = os.getppid()
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(CALLS_AT_ONCE), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == engine:
        server.wait_for_termination(LOOK_SECONDS)
    os._exit(1)  # at once: calls that wait for a cluster would hold an orderly end


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # it reaches the whole group; the engine says what there is to say
        main()

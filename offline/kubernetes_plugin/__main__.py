"""The plugin's process: serves until it is ended, and prints its port on the first line.

The engine ends it. If the engine is killed, language_host/with_engine.py does, which starts it.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from offline.kubernetes_plugin.plugin import Plugin

CALLS_AT_ONCE = 32


def main() -> None:
    """Serve on a free port of loopback."""
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(CALLS_AT_ONCE), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # it reaches the whole group; the engine says what there is to say
        main()

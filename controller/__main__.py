"""`python -m controller`: own the count of a stack's elastic fleets, and serve the API, until a signal."""

import logging
import os
import signal
import sys

from bootstrap.clock import SystemClock
from controller.api.app import create_app
from controller.api.serving import serve
from controller.store.errors import StoreDown, StoreRefused
from controller.store.store import Store
from controller.world.metrics import LoopMetrics
from controller.world.service import Service
from controller.world.settings import IN_KUBERNETES, SettingsError, read_settings
from controller.world.starting import IN_CLUSTER_SECONDS, open_patiently


def main() -> int:
    """Run one controller process; return its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for talkative in ("httpx", "paramiko"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"controller: {error}", file=sys.stderr)
        return 2
    store = Store(settings.dsn.get_secret_value())
    try:
        patience = IN_CLUSTER_SECONDS if os.environ.get(IN_KUBERNETES) else 0.0
        open_patiently(lambda: store.open(settings.stack), SystemClock(), patience)
    except (StoreDown, StoreRefused) as error:
        print(f"controller: {error}. Nothing was changed; GPU_FLEET_DSN names the database", file=sys.stderr)
        return 1
    service = Service(settings, os.environ, store)
    app = create_app(store, service.main.offers)
    # The server handles these while it runs, and sends them again afterwards: then there is an end to be made in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    service.start(LoopMetrics(app.state.metrics.registry))
    try:
        return 0 if serve(app, settings.address, settings.outside) else 1
    except OSError as error:  # of the certificate's files
        print(
            f"controller: the API cannot be served over TLS ({error}); GPU_FLEET_TLS names the folder", file=sys.stderr
        )
        return 1
    finally:
        service.stop()
        store.close()


if __name__ == "__main__":
    sys.exit(main())

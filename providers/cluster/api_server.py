"""Start k3s on the cluster's server, and wait until its API answers from outside."""

from collections.abc import Callable

from bootstrap.clock import Clock
from bootstrap.host import Host
from bootstrap.services import Progress
from providers.cluster import kubeconfig_text
from providers.cluster.errors import ClusterError
from providers.kubeconfig import trouble

START_SECONDS, READY_SECONDS = 300.0, 600.0
POLL_SECONDS = 1.0


def service(host: Host, act: str) -> None:
    """Start or restart k3s: `act` is the word of systemctl.

    A failure is left to `ready`: right after a boot the first start may fail, and systemd starts k3s again.
    """
    host.run(f"systemctl daemon-reload; systemctl {act} k3s", timeout=START_SECONDS)


def ready(host: Host, address: str, clock: Clock, ask: Callable[[str], str] | None = None) -> str:
    """Return the kubeconfig, with the public address, once the API answers there with a certificate of the cluster's CA.

    `ask` returns why the API of a kubeconfig does not serve, or an empty text. Raises ClusterError after READY_SECONDS.
    """
    deadline = clock.monotonic() + READY_SECONDS
    while True:
        text = host.run(f"cat {kubeconfig_text.PATH} 2>/dev/null").stdout
        found = kubeconfig_text.public(text, address) if text else ""
        cause = (ask or trouble)(found) if found else "k3s wrote no kubeconfig"
        if not cause:
            return found
        if clock.monotonic() > deadline:
            log = host.run("journalctl -u k3s -n 8 --no-pager -o cat 2>/dev/null | cut -c -300").stdout.strip()
            raise ClusterError(
                f"the API of Kubernetes at {address}:{kubeconfig_text.PORT} is not ready after {READY_SECONDS:.0f} s "
                f"({cause}). k3s says: {log or 'nothing'}"
            )
        clock.sleep(POLL_SECONDS)


def renewed(host: Host, address: str, clock: Clock, report: Progress, ask: Callable[[str], str] | None = None) -> str:
    """Return the kubeconfig with a certificate that lasts: k3s makes a new one at its start."""
    found = ready(host, address, clock, ask)
    if not kubeconfig_text.ends_soon(kubeconfig_text.certificate_end(found), clock.time()):
        return found
    report("k3s", "restarts, so that its client certificate is renewed")
    service(host, "restart")
    return ready(host, address, clock, ask)

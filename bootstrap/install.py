"""Install the parts of a host besides weights: the kit, the gate's certificate, the token and the gate's configuration.

Each step raises BootstrapError and may be repeated.
"""

from bootstrap.context import HostContext
from bootstrap.errors import SpecInvalid, StepFailed
from bootstrap.fetch import fetch_manifest
from bootstrap.remote_scripts import ETC, KIT, SCRIPTS
from bootstrap.rendered_config import gate_config


def install_kit(context: HostContext) -> None:
    """Fetch the kit and put it in place. Its download also measures the line before the download of the weights."""
    kit = context.spec.kit
    fetch_manifest(context, "install", kit, f"/opt/gpu-fleet/incoming/{kit.digest}")
    script = (SCRIPTS / "install.sh").read_bytes()
    context.shell(f"sh -s {kit.digest}", "the kit could not be installed", script, timeout=120)


def certify(context: HostContext) -> None:
    """Let the host make a key, write a certificate for it, and restart a running gate with both."""
    spec = context.spec
    request = context.shell(f"sh {KIT}/certificate.sh", "the gate's key could not be made").stdout
    try:
        certificate = context.services.sign(request, spec.addresses)
    except SpecInvalid:
        raise  # the CA is at fault, not this host
    except ValueError as error:
        raise StepFailed(f"{spec.name}: no certificate: {error}") from None
    context.host.put(certificate.encode(), f"{ETC}/tls.crt.new", 0o600)
    command = (
        f"cd {ETC} && mv tls.key.new tls.key && mv tls.crt.new tls.crt && echo {spec.certificate_epoch} > tls.epoch"
    )
    context.shell(command, "the gate's certificate could not be put in place")
    if context.facts.gate_started is not None:
        context.drain()
        context.restart("gate")
    context.report_progress("install", f"certificate for {', '.join(spec.addresses)}")


def write_token(context: HostContext) -> None:
    """Write the token. The previous token stays valid until this one is proven; the plan's last step drops it."""
    command = f"[ ! -e {ETC}/token ] || cp -p {ETC}/token {ETC}/token.previous"
    context.shell(command, "the old token could not be kept")
    context.host.put(context.spec.token.encode(), f"{ETC}/token", 0o600)


def drop_previous_token(context: HostContext) -> None:
    """Remove the previous token, so that the gate refuses it."""
    context.shell(f"rm -f {ETC}/token.previous", "the previous token could not be removed")


def configure_gate(context: HostContext) -> None:
    """Write the gate's configuration and restart the gate with it."""
    context.drain()
    context.host.put(gate_config(context.spec).strip().encode(), f"{ETC}/gate.wanted", 0o600)
    context.restart("gate")

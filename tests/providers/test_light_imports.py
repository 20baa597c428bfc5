"""What every command imports is light: HTTP, certificates, SSH and the store's client come with the calls that need them."""

import subprocess
import sys

import pytest

from tests.doubles.dynamic_process import ROOT

HEAVY = ("boto3", "cryptography", "httpx", "paramiko", "rich", "ruamel")
PROVIDERS = tuple(f"providers.{room}.resource" for room in ("identity", "rentals", "store", "vast"))
PROGRAM = ("config.reading", "components.fleet", "components.models", "components.metrics_kit", "components.store")


@pytest.mark.parametrize("modules", [PROVIDERS, PROGRAM], ids=["provider process", "program"])
def test_what_is_heavy_comes_with_the_call_that_needs_it(modules: tuple[str, ...]) -> None:
    look = f"import sys, {', '.join(modules)}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_libraries_leave_their_command_lines_out() -> None:
    """httpx and paramiko would import rich, click, pygments and invoke, because they are installed."""
    ours = "import sys, providers.provider_process as own; own.leave_out(); import providers.vast.operation"
    found = subprocess.run(
        [sys.executable, "-c", f"{ours}; print(*(name for name, module in sys.modules.items() if module))"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert {"httpx", "paramiko"} <= set(found.stdout.split())
    assert not {"rich", "click", "invoke", "pygments"} & set(found.stdout.split())

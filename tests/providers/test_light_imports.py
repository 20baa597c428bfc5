"""What every command imports is light: HTTP, certificates, SSH and the store's client come with the calls that need them."""

import ast
import subprocess
import sys

import pytest

from tests.doubles.dynamic_process import ROOT

HEAVY = ("boto3", "cryptography", "httpx", "paramiko", "pulumi_hcloud", "pulumi_kubernetes", "rich", "ruamel")
PROVIDERS = tuple(f"providers.{room}.resource" for room in ("cluster", "identity", "rentals", "store", "vast"))
PROGRAM = ("config.reading", "components.fleet", "components.models", "components.metrics_kit", "components.store")


def imports_of_the_program() -> tuple[str, ...]:
    """What `__main__.py` imports for every stack."""
    body = ast.parse((ROOT / "__main__.py").read_text()).body
    return tuple(str(row.module) for row in body if isinstance(row, ast.ImportFrom))


def test_a_stack_without_a_cluster_of_its_own_imports_nothing_of_it() -> None:
    modules = imports_of_the_program()
    assert "components.fleet" in modules
    look = (
        f"import sys, {', '.join(modules)}; print(*(one for one in sys.modules if 'hetzner' in one or 'hcloud' in one))"
    )
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_a_stack_with_one_imports_no_http_and_no_ssh_into_the_program() -> None:
    look = f"import sys, components.hetzner; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["pulumi_hcloud"]


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

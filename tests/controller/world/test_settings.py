"""The environment of a controller process: complete, or a sentence that names variables and no value."""

from pathlib import Path

import pytest

from controller.world.settings import SettingsError, read_settings

GOOD = {
    "GPU_FLEET_STACK": "dev",
    "GPU_FLEET_DSN": "postgresql://u:hush@db/x",
    "GPU_FLEET_BACKEND": "s3://bucket/state",
}


def test_the_environment_says_it_all() -> None:
    found = read_settings({**GOOD, "GPU_FLEET_LISTEN": ":9000", "GPU_FLEET_PROJECT": "/srv/fleet"})

    assert (found.stack, found.backend, found.address) == ("dev", "s3://bucket/state", ("0.0.0.0", 9000))
    assert found.project == Path("/srv/fleet")
    assert "hush" not in repr(found)


def test_the_shells_backend_is_taken_if_none_is_named() -> None:
    environ = {**GOOD, "PULUMI_BACKEND_URL": "file:///state"}
    del environ["GPU_FLEET_BACKEND"]

    assert read_settings(environ).backend == "file:///state"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"GPU_FLEET_STACK": ""}, "GPU_FLEET_STACK"),
        ({"GPU_FLEET_DSN": ""}, "GPU_FLEET_DSN"),
        ({"GPU_FLEET_BACKEND": ""}, "GPU_FLEET_BACKEND"),
        ({"GPU_FLEET_LISTEN": "9000"}, "GPU_FLEET_LISTEN"),
        ({"GPU_FLEET_BOOTS_AT_ONCE": "many"}, "GPU_FLEET_BOOTS_AT_ONCE"),
        ({"GPU_FLEET_TLS_LISTEN": ":8443"}, "GPU_FLEET_TLS and GPU_FLEET_TLS_LISTEN belong together"),
        ({"GPU_FLEET_TLS": "/etc/tls"}, "GPU_FLEET_TLS and GPU_FLEET_TLS_LISTEN belong together"),
    ],
)
def test_what_does_not_fit_is_named_without_a_value(change: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names) as error:
        read_settings({**GOOD, **change})

    assert "hush" not in str(error.value)


def test_a_file_backend_is_refused_in_kubernetes_alone() -> None:
    environ = {**GOOD, "GPU_FLEET_BACKEND": "file:///state"}
    assert read_settings(environ).backend == "file:///state"

    with pytest.raises(SettingsError, match="file:// backend"):
        read_settings({**environ, "KUBERNETES_SERVICE_HOST": "10.0.0.1"})

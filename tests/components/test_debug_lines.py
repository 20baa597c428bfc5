"""The SDK's debug lines go to the engine without properties."""

import pulumi
import pytest

from components.debug_lines import cut_properties


def test_properties_are_cut_off_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(pulumi.log, "debug", lambda msg, **_named: lines.append(msg))

    cut_properties()
    cut_properties()
    pulumi.log.debug("resource registration successful: urn=u, props=token: abc, props=x")
    pulumi.log.debug("other")

    assert lines == ["resource registration successful: urn=u", "other"]

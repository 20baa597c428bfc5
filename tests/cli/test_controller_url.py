"""Where a stack's controller answers: as the stack's output says, which has an address if config opens one."""

from cli.controller_url import controller_url, outputs_of

API = "https://198.51.100.9:30444"
CONTROLLER = {"namespace": "gpu-fleet-controller", "reach": "kubectl port-forward"}


def test_the_address_that_config_opens_is_told() -> None:
    assert controller_url("dev", {"controller": {**CONTROLLER, "api": API}}) == API
    assert controller_url("dev", {"controller": CONTROLLER}) == ""
    assert controller_url("dev", {}) == ""


def test_the_outputs_are_those_of_the_stack_itself() -> None:
    rows = [
        {"type": "pulumi-python:dynamic/vast:Instance", "outputs": {"controller": "another"}},
        {"type": "pulumi:pulumi:Stack", "outputs": {"controller": {**CONTROLLER, "api": API}}},
    ]

    assert controller_url("dev", outputs_of({"resources": rows})) == API
    for never in ({}, {"resources": None}, {"resources": [{"type": "pulumi:pulumi:Stack"}]}):
        assert outputs_of(never) == {}

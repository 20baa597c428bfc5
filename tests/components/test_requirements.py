"""What config leaves to us is written into an instance's inputs, and so into its state."""

from copy import deepcopy

from components.requirements import arguments_of
from config.fleets import FleetConfig
from providers.vast.host_spec import spec_of
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS
from tests.providers.vast.test_memory_fit import LLAMA_8B

FLEET = FleetConfig.model_validate(
    {
        "model": "tiny",
        "replicas": 1,
        "gpu": {"name": "RTX 4090", "count": 4},
        "maxUsdPerHour": 1,
        "vllmArguments": ["--dtype", "half"],
    }
)


def test_several_gpus_are_used_where_the_model_is_known() -> None:
    assert arguments_of(FLEET, LLAMA_8B) == ("--dtype", "half", "--tensor-parallel-size=4")
    assert arguments_of(FLEET, None) == ("--dtype", "half")


def test_an_instance_runs_with_the_arguments_of_its_state_so_that_a_failed_update_goes_back_to_them() -> None:
    """States of older versions say nothing of several GPUs, and their vLLM used one."""
    old = deepcopy(PROPS)
    old["wishes"]["gpuCount"] = 4
    old["model"]["about"] = LLAMA_8B.model_dump()

    assert spec_of(InstanceSettings.model_validate(old), "203.0.113.7", 1).vllm_args == ()

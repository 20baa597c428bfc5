"""The whole chain with the real vLLM on a CPU: slow, so one host and one test."""

import contextlib
from pathlib import Path

import pytest

from bootstrap.errors import EngineRefused
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images, default_cache
from sandbox.hosts.spec import HostsError
from tests.doubles.rented import Things, rent
from tests.doubles.until import until

pytestmark = [pytest.mark.host, pytest.mark.vllm, pytest.mark.deep, pytest.mark.timeout(900)]

ARGUMENTS = ("--max-model-len", "512", "--enforce-eager", "--dtype", "float16")
ENVIRONMENT = (("VLLM_CPU_KVCACHE_SPACE", "1"),)


def test_the_real_vllm_answers_and_is_replaced_whole(things: Things, tmp_path: Path) -> None:
    images = Images("real", default_cache())
    try:
        images.layers("vllm/vllm-openai")
    except HostsError as error:
        pytest.skip(str(error))
    with contextlib.closing(NamespaceHosts(tmp_path, images)) as hosts:
        rented = rent(hosts, things, disk_mb=1024, shm_mb=1024)

        report = rented.converge(vllm_args=ARGUMENTS, env=ENVIRONMENT)

        assert rented.ask().text
        assert report.timings["start"] > 1
        assert rented.converge().changed == []

        group = rented.run("cat /run/gpu-fleet/vllm.group")
        members = rented.run(f"ps -eo pid=,pgid= | awk '$2=={group}'").splitlines()
        rented.run(f"kill -9 {group}")
        until(lambda: rented.run("cat /run/gpu-fleet/vllm.group") not in {"", group}, seconds=30)

        assert len(members) >= 3, "vLLM, its engine and its worker"
        assert rented.run(f"ps -eo pgid=,stat= | awk '$1=={group} && $2 !~ /Z/'") == ""
        assert rented.ask(seconds=240).text

        with pytest.raises(EngineRefused, match="unrecognized arguments"):
            rented.converge(vllm_args=(*ARGUMENTS, "--no-such-thing"))

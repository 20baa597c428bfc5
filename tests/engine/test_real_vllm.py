"""The whole way once with the real vLLM: config -> rented instance -> completion through TLS -> nothing rented."""

from pathlib import Path

import httpx
import pytest

from tests.doubles.cloud import REPO, running_cloud
from tests.doubles.pulumi_stack import Engine

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.vllm, pytest.mark.timeout(900)]


def test_a_completion_of_the_real_vllm(engine: Engine, tmp_path: Path) -> None:
    with running_cloud(tmp_path / "cloud", vllm="real") as cloud:
        stack = engine.stack(REPO)
        stack.write_config(cloud.stack_config())

        stack.up()
        outputs = stack.outputs()
        authority = tmp_path / "ca.pem"
        authority.write_text(outputs["caCertificate"])
        with httpx.Client(base_url=outputs["endpoints"]["chat-0"], verify=str(authority), timeout=120) as client:
            headers = {"Authorization": f"Bearer {outputs['tokens']['chat-0']}"}
            body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
            answer = client.post("/v1/chat/completions", json=body, headers=headers)
            stranger = client.post("/v1/chat/completions", json=body)
            metrics = client.get("/metrics", headers=headers)

        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] > 0
        assert "double" not in answer.text
        assert (stranger.status_code, metrics.status_code) == (401, 404)
        stack.destroy()
        assert cloud.rented() == []

"""Stand in for `InstanceBootstrap` in memory: the host serves what it was last told to; see `schedule`."""

import copy
from functools import cache

from bootstrap.errors import EngineRefused, HostLost, PreflightFailed
from bootstrap.facts import Facts
from bootstrap.rendered_config import digest, gate_config, vllm_config
from providers.vast.api.instance import Instance
from providers.vast.create import Served
from providers.vast.host_spec import spec_of
from providers.vast.settings import InstanceSettings
from sandbox.market.records.machines import LOOPBACK
from tests.doubles.certificates import certificate
from tests.doubles.facts import EMPTY
from tests.doubles.market import HOST_KEY
from tests.doubles.scheduled_market import Market
from tests.doubles.settings import PROPS

ADDRESS = LOOPBACK


class Host:
    """One instance's host by its settings; `serving` holds what every instance was last told to serve."""

    def __init__(self, market: Market, serving: dict[int, InstanceSettings], settings: InstanceSettings) -> None:
        self.market, self.serving, self.settings = market, serving, settings

    def serve(self, instance: Instance, host_key: str, _report_progress: object, _deadline: float = 0.0) -> Served:
        assert host_key == HOST_KEY
        for phase in ("connect", "fetch", "start", "probe"):
            self._step(phase, instance.id)
        self.serving[instance.id] = self.settings

        def end_timer() -> None:
            self._step("report", instance.id)
            self.market.online.add(instance.id)

        price = instance.dph_total or 0
        return Served(instance, f"https://{ADDRESS}:48443", host_key, 4e9, {"start": 1.0}, price, end_timer=end_timer)

    def observe(self, instance: Instance, _host_key: str, _report_progress: object) -> Facts:
        self._step("observe", instance.id)
        return facts_of(self.serving.get(instance.id))

    def answers(self, _endpoint: str) -> bool:
        """What the market reports wrongly of a host does not count: what runs answers."""
        return any(row.runs for row in self.market.rows.values() if row.contract.label == self.settings.label)

    def drain(self, instance: Instance, _host_key: str, _report_progress: object) -> None:
        self.market.step("drain")

    def change_key(self, *_words: object) -> None:
        self.market.step("change key")

    def retire_keys(self, *_words: object) -> None:
        self.market.step("retire keys")

    def _step(self, phase: str, number: int) -> None:
        fault = self.market.step(phase)
        self.market.clock.sleep(1.0)
        if number not in self.market.rows or fault == "host-lost":
            raise HostLost("the connection ended")
        if fault == "host-fault":
            raise PreflightFailed("gpu", "no GPU")
        if fault == "our-fault":
            raise EngineRefused("unrecognized arguments")


@cache
def settings_of(name: str, version: int) -> InstanceSettings:
    props = copy.deepcopy(PROPS)
    props |= {"name": name, "label": f"gpu-fleet/abc/{name}", "turn": int(name[-1]) * 5, "diskGb": 20}
    props["server"]["arguments"] = ["--max-model-len", str(512 + version)]
    props["market"]["timeScale"] = 1
    props["wishes"] |= {"maxUsdPerHour": 2.0}
    return InstanceSettings.from_props(props)


@cache
def _certificate() -> str:
    return str(certificate([ADDRESS], 3e9))


@cache
def _facts(name: str, version: int) -> Facts:
    settings = settings_of(name, version)
    spec = spec_of(settings, ADDRESS, 1)
    bare = Facts.model_validate({**EMPTY, "certificate": _certificate()})
    order, gate = digest(vllm_config(spec, bare)), digest(gate_config(spec))
    return bare.model_copy(
        update={
            "kit": spec.kit.digest,
            "model_files": {file.path: file.size for file in spec.model.files},
            "model_verified": True,
            "vllm_wanted": order,
            "vllm_started": order,
            "vllm_healthy": True,
            "gate_wanted": gate,
            "gate_started": gate,
            "gate_open": True,
            "certificate_epoch": "0",
            "token_digest": digest(spec.token),
        }
    )


def facts_of(settings: InstanceSettings | None) -> Facts:
    """The facts of a host that serves these settings; of a bare one without."""
    if settings is None:
        return Facts.model_validate(EMPTY)
    return _facts(settings.name, int(settings.server.arguments[-1]) - 512)

"""The model of all stack config, and the models of its sections by path. docs/config.md is generated from them."""

from pydantic import BaseModel, Field

from config.base import Section
from config.clients import ClientConfig
from config.cluster import BackupsConfig, ClusterConfig, K3sConfig
from config.controller import ControllerConfig
from config.controller_kubernetes import ControllerKubernetesConfig
from config.elastic import Elastic
from config.fleets import FleetConfig
from config.gpu import GpuConfig
from config.kubernetes import KubernetesConfig
from config.lease import LeaseConfig
from config.limits import LimitsConfig
from config.market import MarketConfig
from config.models import ModelConfig
from config.monitoring import BudgetConfig, MetricsConfig
from config.policy import PolicyConfig
from config.preflight import PreflightConfig
from config.registry import RegistryConfig
from config.rollout import RolloutConfig
from config.rotation import RotationConfig
from config.store import StoreConfig


class StackConfig(Section):
    """All of stack config."""

    market: MarketConfig = Field(MarketConfig(), description="Where to rent.")
    store: StoreConfig = Field(description="The bucket for weights, kit and ledger.")
    models: dict[str, ModelConfig] = Field(default_factory=dict, description="Models by name.")
    fleets: dict[str, FleetConfig] = Field(default_factory=dict, description="Fleets by name.")
    limits: LimitsConfig = Field(LimitsConfig(), description="Bounds of bringing one instance online.")
    budget: BudgetConfig = Field(BudgetConfig(), description="What the fleets may cost.")
    policy: PolicyConfig | None = Field(None, description="What a review of an edit holds the edit to.")
    metrics: MetricsConfig | None = Field(None, description="Where hosts report to.")
    cluster: ClusterConfig | None = Field(None, description="A cluster on Hetzner Cloud that the stack itself makes.")
    kubernetes: KubernetesConfig | None = Field(None, description="The cluster that monitors.")
    controller: ControllerConfig = Field(
        ControllerConfig(), description="The process that owns the count of elastic fleets."
    )
    clients: dict[str, ClientConfig] = Field(
        default_factory=dict, description="Who may ask the controller for instances, by name."
    )
    rotation: RotationConfig = Field(RotationConfig(), description="Counters that renew secrets in place.")

    @property
    def cluster_controller(self) -> ControllerKubernetesConfig | None:
        """The section `controller.kubernetes`; None also if the stack has no elastic fleet to control."""
        return self.controller.kubernetes if any(fleet.elastic for fleet in self.fleets.values()) else None


SECTIONS: dict[str, type[BaseModel]] = {  # by the path of their keys
    "market": MarketConfig,
    "store": StoreConfig,
    "models.<name>": ModelConfig,
    "fleets.<name>": FleetConfig,
    "fleets.<name>.replicas": Elastic,
    "fleets.<name>.gpu": GpuConfig,
    "fleets.<name>.rollout": RolloutConfig,
    "fleets.<name>.registry": RegistryConfig,
    "fleets.<name>.preflight": PreflightConfig,
    "fleets.<name>.lease": LeaseConfig,
    "limits": LimitsConfig,
    "budget": BudgetConfig,
    "policy": PolicyConfig,
    "metrics": MetricsConfig,
    "cluster": ClusterConfig,
    "cluster.k3s": K3sConfig,
    "cluster.backups": BackupsConfig,
    "kubernetes": KubernetesConfig,
    "controller": ControllerConfig,
    "controller.kubernetes": ControllerKubernetesConfig,
    "clients.<name>": ClientConfig,
    "rotation": RotationConfig,
}

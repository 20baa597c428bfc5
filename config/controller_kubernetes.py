"""The section `controller.kubernetes` of stack config: the controller of elastic fleets in a cluster."""

import ipaddress
import re

from pydantic import Field, field_validator

from config.cluster_place import IMAGE, NAMESPACE, ClusterPlace

# The registry serves only content with this digest under it, so the tag cannot be moved.
POSTGRES = "docker.io/library/postgres:18.1@sha256:1090bc3a8ccfb0b55f78a494d76f8d603434f7e4553543d6e807bc7bd6bbd17f"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
OURS = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_HOME", "HOME", "PATH")
OUR_PREFIX = "GPU_FLEET_"


class ControllerKubernetesConfig(ClusterPlace):
    """The controller and its PostgreSQL in a cluster. Without this section, you run the controller elsewhere.

    Objects are made only if the stack has an elastic fleet. `kubeconfig` and `context` default to those of the section
    `kubernetes`, if the stack has one. docs/elastic-kubernetes.md says the purpose of each object.
    """

    namespace: str = Field(
        "gpu-fleet-controller",
        pattern=NAMESPACE,
        description="Namespace of the controller, another than that of monitoring; one stack has it for itself.",
    )
    image: str = Field(
        pattern=IMAGE,
        description="Image of the controller, made from `Containerfile.controller`, in a registry that the cluster "
        "uses. Append `@sha256:...`, so that the image cannot change.",
    )
    postgres_image: str = Field(
        POSTGRES,
        alias="postgresImage",
        pattern=IMAGE,
        description="Image of PostgreSQL; unused with the secret `controllerDsn`.",
    )
    storage_gb: int = Field(
        5, alias="storageGb", ge=1, description="Disk of PostgreSQL in GiB; unused with the secret `controllerDsn`."
    )
    memory_mb: int = Field(
        2048,
        alias="memoryMb",
        ge=512,
        description="Memory of the controller in MiB. It says how many slots start at once: one for each 256 beyond 512.",
    )
    client_namespaces: tuple[str, ...] = Field(
        (),
        alias="clientNamespaces",
        description="Namespaces whose pods may reach the API, such as that of your ingress. Default: none; `kubectl "
        "port-forward` works anyway.",
    )
    client_networks: tuple[str, ...] = Field(
        (), alias="clientNetworks", description="Networks (CIDR) that may reach the API. Default: none."
    )
    networks: tuple[str, ...] = Field(
        (),
        description="Private networks (CIDR) that the controller may reach, such as that of a bucket or a PostgreSQL of "
        "yours. It reaches public addresses anyway.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="Variables of the state backend and of its secrets provider, such as `PULUMI_ACCESS_TOKEN`; set their "
        "values with --secret. Default for a backend `s3://`: the store's keys.",
    )

    @field_validator("client_namespaces")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in value if not re.match(NAMESPACE, name)]:
            raise ValueError(f"{', '.join(wrong)} is no name of a namespace")
        return value

    @field_validator("client_networks", "networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(f"{network} is no network; write it as 10.0.0.0/16") from None
        return value

    @field_validator("environment")
    @classmethod
    def _variables(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := [name for name in value if not VARIABLE.match(name)]:
            raise ValueError(f"{', '.join(wrong)} is no name of a variable")
        if ours := [name for name in value if name in OURS or name.startswith(OUR_PREFIX)]:
            raise ValueError(f"{', '.join(ours)} is set by the program; take it out")
        return value

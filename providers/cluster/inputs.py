"""Validate the inputs that the program gives to the resources of the stack's own cluster, and their state."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from config.cluster import K3sConfig
from providers import old_state
from providers.cluster.errors import ClusterError
from providers.cluster.k3s_config import K3sSettings, SnapshotPlace
from providers.cluster.node import NodeSpec

NODE_NAME = "node-0"  # the same for a server of any name: local disks of pods belong to a node by its name
SECRETS = ("k3sToken", "nodePassword", "sshPrivateKey", "previousSshPrivateKey", "backupAccessKey", "backupSecretKey")


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> Self:
        """Read a property map, which another version may have written. Raises ClusterError naming every bad field."""
        known = {key: value for key, value in props.items() if value is not None and key in cls.names()}
        try:
            return old_state.read_state(cls, known)[0]
        except ValidationError as error:
            rows = "; ".join(
                f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)
            )
            raise ClusterError(f"the inputs of the cluster are wrong. {rows}") from None

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all inputs as the engine knows them."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())


class Way(_Inputs):
    """The way to the server over SSH. `host_key`: the pinned fingerprint; `previous`: the key before the last rotation."""

    address: str
    host_key: str = Field(alias="hostKey")
    private_key: SecretStr = Field(alias="sshPrivateKey")
    previous: SecretStr = Field(SecretStr(""), alias="previousSshPrivateKey")


class KubeconfigInputs(Way):
    """The inputs of `Kubeconfig`. `authority`: SHA-256 of the cluster's CA."""

    authority: str = ""


class Backups(BaseModel):
    """The schedule of k3s' snapshots, and their bucket. `own_endpoint`: the store's URL as this machine reaches it."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schedule: str
    keep: int
    endpoint: str = ""
    own_endpoint: str = Field("", alias="ownEndpoint")
    region: str = ""
    bucket: str = ""
    stack_id: str = Field("", alias="stackId")


class NodeInputs(Way):
    """The inputs of `Node`."""

    private_address: str = Field(alias="privateAddress")
    server_id: str = Field(alias="serverId")
    server: str
    device: str
    api_url: str = Field(alias="apiUrl")
    k3s: K3sConfig
    backups: Backups
    public_key: str = Field(alias="sshPublicKey")
    token: SecretStr = Field(alias="k3sToken")
    node_password: SecretStr = Field(alias="nodePassword")
    backup_access: SecretStr = Field(SecretStr(""), alias="backupAccessKey")
    backup_secret: SecretStr = Field(SecretStr(""), alias="backupSecretKey")

    @property
    def place(self) -> SnapshotPlace | None:
        """The bucket and folder of snapshots; None if they stay on the server."""
        own = self.backups
        if not own.bucket:
            return None
        keys = (self.backup_access.get_secret_value(), self.backup_secret.get_secret_value())
        return SnapshotPlace(own.endpoint, own.region, own.bucket, f"cluster/{own.stack_id}", *keys)

    @property
    def spec(self) -> NodeSpec:
        """The wanted state of the server."""
        settings = K3sSettings(
            node=NODE_NAME,
            address=self.address,
            private=self.private_address,
            interface="",
            token=self.token.get_secret_value(),
            schedule=self.backups.schedule,
            keep=self.backups.keep,
            place=self.place,
        )
        return NodeSpec(settings, self.k3s, self.public_key, self.node_password.get_secret_value(), self.device)

"""Pulumi's logic for Hetzner, where set-up built it, and a program that makes the stack's own cluster alone."""

import os

import pytest

from tests.doubles.pulumi_stack import REPO, Engine, Stack
from tools.machine import paths

PLUGIN = paths.find(REPO, os.environ).hcloud_plugin
NEEDS_PLUGIN = pytest.mark.skipif(not PLUGIN.is_file(), reason="python3 -m tools.setup --parts hcloud-plugin")
# The part of the project's program that makes the cluster; no market and no store is needed for it.
PROGRAM = """
import pulumi
from components.hetzner import make_cluster
from components.provider_pool import ProviderPool
from components.stack_config import read_program_config, seal_inputs, stack_name
from config.base import PROJECT
from config.secret_keys import SECRETS
from providers.identity.resource import Identity

config = read_program_config()
seal_inputs(config.secret_leaves)
pool = ProviderPool(PROJECT, {key: config.source.require_secret(key) for key in (*SECRETS, "hcloudToken")})
inputs = {"rotation": config.stack.rotation.model_dump(), "stack": stack_name()}
identity = Identity("identity", inputs, pulumi.ResourceOptions(provider=pool.common()))
made = make_cluster(config.stack, identity, config.source, pool.common(), identity)
pulumi.export("receiver", made.receiver.url)
if config.stack.kubernetes:
    from components.observability import OwnCluster, observe
    own = OwnCluster(made.kubeconfig, made.receiver_certificate)
    pulumi.export("observability", observe(config.stack, config.source, config.values, config.project, own=own))
"""


def bring_plugin(engine: Engine) -> None:
    """Let an engine find the plugin."""
    engine.env["PATH"] = f"{PLUGIN.parent}{os.pathsep}{engine.env['PATH']}"


def cluster_stack(engine: Engine, name: str = "test") -> Stack:
    """Return a stack of the program, without config."""
    bring_plugin(engine)
    made = engine.stack(REPO, name)
    (made.folder / "__main__.py").write_text(PROGRAM)
    return made

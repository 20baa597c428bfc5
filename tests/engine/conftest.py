"""The real engine for this room's tests."""

from tests.doubles.cluster_stack import kubernetes
from tests.doubles.engine import engine, pulumi_on_path

__all__ = ["engine", "kubernetes", "pulumi_on_path"]

"""The real engine for this room's tests."""

from tests.doubles.engine import engine, pulumi_on_path

__all__ = ["engine", "pulumi_on_path"]

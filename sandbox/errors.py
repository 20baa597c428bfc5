"""The error of a sandbox for its operator."""


class SandboxError(Exception):
    """A sandbox that fails to start or to answer. The message is a sentence for the operator."""

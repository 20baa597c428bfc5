"""Define the errors of the stack's own cluster. Every message is a sentence for the operator, and holds no secret."""


class ClusterError(Exception):
    """The cluster cannot follow stack config; the message says why and names the remedy."""


class HetznerRefused(ClusterError):
    """The Hetzner API refused a call. `code` is its own word, such as `token_readonly`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class HetznerDown(ClusterError):
    """The Hetzner API does not answer, or not in its own form."""

"""The sandbox's calls to the API server of its node."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from sandbox.services.child import ServiceError

MANAGER = "gpu-fleet-sandbox"
SECONDS, LOOK_SECONDS = 30.0, 0.1


class Api:
    """The API server at a URL of loopback, which needs no certificate to be the one that was started."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, verify=False, headers=headers, timeout=SECONDS, trust_env=False)

    def ready(self) -> bool:
        """Say whether the API server serves all of its own objects."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object or a list; None if it is missing or if the API server does not answer."""
        try:
            answer = self._client.get(path)
        except httpx.HTTPError:
            return None
        return dict(answer.json()) if answer.is_success else None

    def apply(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        """Make or change objects by their paths. Raises ServiceError."""
        for path, content in objects.items():
            answer = self._client.patch(
                path,
                content=json.dumps(content),
                headers={"Content-Type": "application/apply-patch+yaml"},
                params={"fieldManager": MANAGER, "force": "true"},
            )
            if not answer.is_success:
                raise ServiceError(f"The node's API server refuses {path}: {answer.text[:300]}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def condition(found: Mapping[str, Any] | None, kind: str) -> bool:
    """Say whether a condition of an object's status is true.

    >>> condition({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Ready")
    True
    """
    rows = (found or {}).get("status", {}).get("conditions") or []
    return any(row["type"] == kind and row["status"] == "True" for row in rows)


def await_true(check: Callable[[], bool], deadline: float, lacks: Callable[[], str]) -> None:
    """Return when a check is true. Raises ServiceError with what lacks at the deadline of time.monotonic."""
    while not check():
        if time.monotonic() > deadline:
            raise ServiceError(lacks())
        time.sleep(LOOK_SECONDS)

"""What k3s itself asks and tells its API server, as its administrator."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANAGER, SECONDS = "k3s", 20.0
Object = dict[str, Any]


class Refused(Exception):
    """The API server said no, or nothing."""


class Api:
    """The API server at a URL. `folder` has the authority and the administrator's certificate."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self.tls = ssl.create_default_context(cafile=str(folder / "server-ca.crt"))
        self.tls.load_cert_chain(folder / "client-admin.crt", folder / "client-admin.key")

    def items(self, path: str) -> list[Object]:
        """Return the objects of a list. Raises Refused."""
        found: list[Object] = self._call("GET", path)["items"]
        return found

    def apply(self, objects: Mapping[str, Object]) -> None:
        """Make or change objects by their paths. Raises Refused."""
        for path, content in objects.items():
            self._call("PATCH", f"{path}?fieldManager={MANAGER}&force=true", content)

    def delete(self, path: str) -> None:
        """Delete an object. Raises Refused."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: Object | None = None) -> Object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/apply-patch+yaml")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self.tls) as answer:
                found: Object = json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.read().decode(errors='replace')[:300]}") from None
        except (OSError, ValueError) as error:
            raise Refused(f"{method} {path}: {error}") from None
        return found

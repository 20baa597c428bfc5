"""Fetch what another workflow left on GitHub: the approved review of a merged commit, or the record of what runs.

    python3 -m tools.artifacts approved STACK FOLDER     writes FOLDER/review.json; 3 if no review of this commit is there
    python3 -m tools.artifacts standing STACK FOLDER     writes FOLDER/standing.json, if an apply left one

Reads GH_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY and, for `approved`, GITHUB_SHA. Runs by the system's python3 alone.
Any workflow can upload an artifact of any name, so the run behind it decides: which file, which event, which branch.
"""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 4_000_000
SECONDS = 60.0
USAGE, NONE = 64, 3
Get = Callable[[str], bytes]  # takes a path below the API's address


@dataclass(frozen=True)
class Origin:
    """The run that may make an artifact; a `branch` of None is any."""

    workflow: str
    event: str
    branch: str | None = None


# A pull_request_target runs the default branch's file whatever the pull request holds; a push runs the pushed one.
REVIEWED = Origin(".github/workflows/review.yml", "pull_request_target")
APPLIED = Origin(".github/workflows/apply.yml", "push", "main")


class ForgeError(Exception):
    """A forge's API does not answer as documented; the message is a sentence. `status`: its answer's, 0 if there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Fetch one file; the exit status is 0, 1 if GitHub does not answer, 3 without an approved review, 64 for wrong words."""
    if len(arguments) != 3 or arguments[0] not in ("approved", "standing"):
        print(__doc__, file=sys.stderr)
        return USAGE
    what, stack, folder = arguments
    base, repository = environ.get("GITHUB_API_URL", "https://api.github.com"), environ["GITHUB_REPOSITORY"]
    get = client(base, "Authorization", f"Bearer {environ['GH_TOKEN']}")
    try:
        if what == "standing":
            found = newest(get, repository, f"gpu-fleet-standing-{stack}", APPLIED)
            save(get, repository, found, Path(folder) / "standing.json")
            return 0
        head = merged_head(get, repository, environ["GITHUB_SHA"])
        found = newest(get, repository, f"gpu-fleet-review-{stack}-{head}", REVIEWED) if head else None
        save(get, repository, found, Path(folder) / "review.json")
    except ForgeError as error:
        print(f"::error::{error}")
        return 1
    if found is None:
        print(
            f"::error::No review of stack {stack} is there for commit {environ['GITHUB_SHA']}, so nothing is applied."
        )
        return NONE
    return 0


def client(base: str, header: str, value: str) -> Get:
    """Return a reader of a forge's API. The header with the token goes to the API alone, not to the target of a redirect."""

    def get(path: str) -> bytes:
        request, short = urllib.request.Request(f"{base}/{path}"), path.partition("?")[0]
        request.add_unredirected_header(header, value)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                data: bytes = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise ForgeError(f"The forge answers {error.code} for {short}.", error.code) from None
        except OSError as error:
            raise ForgeError(f"The forge's API does not answer: {error}.") from None
        if len(data) > MOST_BYTES:
            raise ForgeError(f"The forge's answer for {short} has more than {MOST_BYTES} bytes.")
        return data

    return get


def merged_head(get: Get, repository: str, commit: str) -> str | None:
    """Return the head of the pull request that was merged as this commit; None if the commit was pushed without one."""
    rows = [row for row in read_json(get(f"repos/{repository}/commits/{commit}/pulls")) if isinstance(row, dict)]
    heads = [
        str((row.get("head") or {}).get("sha") or "")
        for row in rows
        if row.get("merged_at") and row.get("merge_commit_sha") == commit
    ]
    return heads[0] if heads and heads[0].isalnum() else None


def newest(get: Get, repository: str, name: str, origin: Origin) -> int | None:
    """Return the id of the newest artifact of that name which comes from such a run."""
    query = urllib.parse.urlencode({"name": name, "per_page": 100})
    rows = (read_json(get(f"repos/{repository}/actions/artifacts?{query}"), dict)).get("artifacts") or []
    for row in sorted(rows, key=lambda row: str(row.get("created_at")), reverse=True):
        if row.get("expired") or row.get("name") != name:
            continue
        run = read_json(get(f"repos/{repository}/actions/runs/{int(row['workflow_run']['id'])}"), dict)
        if came_from(run, repository, origin):
            return int(row["id"])
    return None


def came_from(run: Mapping[str, Any], repository: str, origin: Origin) -> bool:
    """Say whether a run is of that workflow file, event, branch and repository."""
    return (
        str(run.get("path")).partition("@")[0] == origin.workflow
        and run.get("event") == origin.event
        and (run.get("repository") or {}).get("full_name") == repository
        and (origin.branch is None or run.get("head_branch") == origin.branch)
    )


def save(get: Get, repository: str, artifact: int | None, file: Path) -> None:
    """Write the one file of an artifact that is wanted; nothing if there is no artifact."""
    if artifact is None:
        return
    data = get(f"repos/{repository}/actions/artifacts/{artifact}/zip")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed, packed.open(file.name) as content:
            text = content.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, KeyError):
        raise ForgeError(f"Artifact {artifact} holds no {file.name}.") from None
    if len(text) > MOST_BYTES:
        raise ForgeError(f"{file.name} of artifact {artifact} has more than {MOST_BYTES} bytes.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)


def read_json(data: bytes, kind: type = list) -> Any:
    """Read an answer that is a list, or of another kind. Raises ForgeError."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise ForgeError("The forge's answer has another form than documented.")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

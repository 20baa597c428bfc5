"""Fetch what another pipeline left on GitLab: the approved review of a merged commit, or the record of what runs.

    python3 -m tools.gitlab_artifacts approved FOLDER     writes FOLDER/review.json; 3 if no review of this commit is there
    python3 -m tools.gitlab_artifacts standing FOLDER     writes FOLDER/standing.json, if an apply left one

Reads CI_API_V4_URL, CI_PROJECT_ID, CI_DEFAULT_BRANCH and GITLAB_TOKEN (scope read_api), and CI_COMMIT_SHA for `approved`.
Every pipeline of the project must run the CI file of another project: then only its job `review` makes that artifact.
"""

from __future__ import annotations

import os
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from tools.artifacts import NONE, USAGE, ForgeError, Get, client, read_json

MISSING = 404


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Fetch one file; the exit status is 0, 1 if GitLab does not answer, 3 without an approved review, 64 for wrong words."""
    if len(arguments) != 2 or arguments[0] not in ("approved", "standing"):
        print(__doc__, file=sys.stderr)
        return USAGE
    what, folder = arguments
    get = client(environ["CI_API_V4_URL"], "PRIVATE-TOKEN", environ["GITLAB_TOKEN"])
    project = f"projects/{environ['CI_PROJECT_ID']}"
    try:
        if what == "standing":
            save(get, raw(project, environ["CI_DEFAULT_BRANCH"], "apply", "standing.json"), Path(folder))
            return 0
        number = merged_request(get, project, environ["CI_COMMIT_SHA"])
        path = raw(project, f"refs/merge-requests/{number}/head", "review", "review.json")
        if number is not None and save(get, path, Path(folder)):
            return 0
    except ForgeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"No review is there for commit {environ['CI_COMMIT_SHA']}, so nothing is applied.", file=sys.stderr)
    return NONE


def merged_request(get: Get, project: str, commit: str) -> int | None:
    """Return the number of the merge request that was merged as this commit; None if it was pushed without one."""
    rows = read_json(get(f"{project}/repository/commits/{commit}/merge_requests"))
    keys = ("merge_commit_sha", "squash_commit_sha", "sha")  # the last one for a fast-forward
    merged = [row for row in rows if isinstance(row, dict) and row.get("state") == "merged"]
    numbers = [int(row["iid"]) for row in merged if commit in [row.get(key) for key in keys]]
    return numbers[0] if numbers else None


def raw(project: str, ref: str, job: str, file: str) -> str:
    """Return the path of one file that the job left in the newest pipeline of a ref that passed."""
    return (
        f"{project}/jobs/artifacts/{urllib.parse.quote(ref, safe='')}/raw/{file}?{urllib.parse.urlencode({'job': job})}"
    )


def save(get: Get, path: str, folder: Path) -> bool:
    """Write the file; False if there is none."""
    try:
        data = get(path)
    except ForgeError as error:
        if error.status == MISSING:
            return False
        raise
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.partition("?")[0].rpartition("/")[2]).write_bytes(data)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

"""Find the pull request that a job works for, in the variables that GitHub and GitLab give their jobs.

GitHub: https://docs.github.com/en/actions/reference/workflows-and-actions/variables. Under `pull_request_target` the ref is
the base branch, so the number comes from the event's own file. GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from bootstrap.clock import Clock
from review.forge.github import GitHub, PullRequest
from review.forge.gitlab import HOW_TO_COMMENT, GitLab, MergeRequest
from review.forge.sticky import Forge, ForgeError

FORGES = ("github", "gitlab")
REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,80}/[A-Za-z0-9._-]{1,120}\Z")
EVENT_BYTES = 25_000_000  # GitHub's own bound of an event


def forge_of(name: str, environment: Mapping[str, str], clock: Clock, number: int | None = None) -> Forge:
    """Return the forge `github` or `gitlab` at the pull request of this job, or at `number`. Raises ForgeError."""
    if name == "github":
        return GitHub(_pull_request(environment, number), clock)
    if name == "gitlab":
        return GitLab(_merge_request(environment, number), clock)
    raise ForgeError(f"there is no forge {name!r}; known are {' and '.join(FORGES)}")


def _pull_request(environment: Mapping[str, str], number: int | None) -> PullRequest:
    token, repository = environment.get("GITHUB_TOKEN", ""), environment.get("GITHUB_REPOSITORY", "")
    if not token:
        raise ForgeError(
            "GITHUB_TOKEN is not set, so that nothing can be posted: give the step `env: {GITHUB_TOKEN: ...}`."
        )
    if not REPOSITORY.match(repository):
        raise ForgeError("GITHUB_REPOSITORY names no repository such as owner/name, so that nothing can be posted.")
    api = environment.get("GITHUB_API_URL") or "https://api.github.com"
    graphql = environment.get("GITHUB_GRAPHQL_URL") or f"{api}/graphql"
    found = number or _event_number(environment.get("GITHUB_EVENT_PATH", ""))
    return PullRequest(api, graphql, repository, found, SecretStr(token))


def _event_number(path: str) -> int:
    try:
        with Path(path).open("rb") as file:
            event = json.loads(file.read(EVENT_BYTES))
        return _positive(event["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ForgeError(
            "The event of this job has no pull request, so that nothing can be posted: start the job by pull_request_target."
        ) from None


def _merge_request(environment: Mapping[str, str], number: int | None) -> MergeRequest:
    token = environment.get("GITLAB_TOKEN", "")
    if not token:
        job = " CI_JOB_TOKEN does not help: GitLab lets it post no note." if environment.get("CI_JOB_TOKEN") else ""
        raise ForgeError(f"GITLAB_TOKEN is not set, so that nothing can be posted: {HOW_TO_COMMENT}.{job}")
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
    api = environment.get("CI_API_V4_URL") or "https://gitlab.com/api/v4"
    try:
        found = number or _positive(int(environment.get("CI_MERGE_REQUEST_IID", "")))
        return MergeRequest(api, str(_positive(int(project))), found, SecretStr(token))
    except ValueError:
        raise ForgeError(
            "This job is of no merge request, so that nothing can be posted: run it in a pipeline for merge requests, "
            "which sets CI_MERGE_REQUEST_IID and CI_PROJECT_ID."
        ) from None


def _positive(number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(number)
    return number

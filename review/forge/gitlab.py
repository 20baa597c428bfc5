"""The comments, called notes, of one merge request on GitLab.

https://docs.gitlab.com/api/notes/#merge-requests. A job's own CI_JOB_TOKEN reaches none of these endpoints
(https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access), so that a project access token is needed: scope `api`,
role Reporter. `GET /user` then names the bot that the token belongs to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from bootstrap.clock import Clock
from review.forge.http import Api
from review.forge.sticky import ForgeError, Posted

PAGE = 100
MOST_PAGES = 100
HOW_TO_COMMENT = (
    "make a project access token with the scope api and the role Reporter, and give it to the job as the masked variable "
    "GITLAB_TOKEN"
)
ADVICE = {
    401: f"The token is not valid: {HOW_TO_COMMENT}.",
    403: f"The token may not comment: {HOW_TO_COMMENT}.",
    404: f"The token does not see that merge request: {HOW_TO_COMMENT}.",
}


@dataclass(frozen=True)
class MergeRequest:
    """A merge request of a project and the account that comments on it. `api` is the server's URL up to `/api/v4`."""

    api: str
    project: str
    number: int
    token: SecretStr


class _User(BaseModel):
    id: int


class _Note(BaseModel):
    id: int
    body: str | None = None
    author: _User | None = None
    system: bool = False


class GitLab:
    """Satisfies `sticky.Forge`."""

    def __init__(self, place: MergeRequest, clock: Clock) -> None:
        headers = {"PRIVATE-TOKEN": place.token.get_secret_value()}
        self._notes = f"projects/{place.project}/merge_requests/{place.number}/notes"
        self._api = Api("GitLab", place.api, headers, clock, ADVICE)

    def comments(self) -> Iterator[Posted]:
        """Yield all notes of people and bots, the oldest first. A row that is not understood is left out."""
        for page in range(1, MOST_PAGES + 1):
            query: dict[str, str | int] = {"sort": "asc", "order_by": "created_at", "per_page": PAGE, "page": page}
            rows: Any = self._api.call("GET", self._notes, **query).body
            if not isinstance(rows, list):
                raise ForgeError("GitLab's list of notes is no list. Run the job again.")
            for row in rows:
                try:
                    one = _Note.model_validate(row)
                except ValidationError:
                    continue
                if not one.system:
                    yield Posted(one.id, one.author is not None and one.author.id == self._own_id, one.body or "")
            if len(rows) < PAGE:
                return
        raise ForgeError(
            f"The merge request has more than {PAGE * MOST_PAGES:,} notes, so that an earlier review cannot be found. "
            "Nothing was posted."
        )

    def create(self, body: str) -> None:
        """Add a note."""
        self._api.call("POST", self._notes, {"body": body})

    def update(self, id_: int, body: str) -> None:
        """Replace the text of a note."""
        self._api.call("PUT", f"{self._notes}/{id_}", {"body": body})

    def delete(self, id_: int) -> None:
        """Remove a note."""
        self._api.call("DELETE", f"{self._notes}/{id_}")

    @cached_property
    def _own_id(self) -> int:
        try:
            return _User.model_validate(self._api.call("GET", "user").body).id
        except ValidationError:
            raise ForgeError("GitLab does not say whose token it is, so that nothing was posted.") from None

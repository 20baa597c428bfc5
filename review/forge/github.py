"""The comments of one pull request on GitHub, by the API of issue comments.

https://docs.github.com/en/rest/issues/comments: a pull request is an issue; comments come in the order of their ids; a token
of Actions needs `pull-requests: write`. `GET /user` refuses such a token (403, "Resource not accessible by integration"),
and GraphQL's `viewer` answers every kind of token.
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
ADVICE = {
    401: "The token is no longer valid, or is none of this server: give the job GITHUB_TOKEN.",
    403: "Give the job `permissions: {pull-requests: write}`, and unlock the conversation if it is locked.",
    404: "The token does not see that pull request: check GITHUB_REPOSITORY and its number, and give the job "
    "`permissions: {contents: read, pull-requests: write}`.",
}


@dataclass(frozen=True)
class PullRequest:
    """A pull request and the account that comments on it. `api` and `graphql` are the server's URLs."""

    api: str
    graphql: str
    repository: str
    number: int
    token: SecretStr


class _User(BaseModel):
    login: str
    type: str = "User"


class _Comment(BaseModel):
    id: int
    body: str | None = None
    user: _User | None = None


class GitHub:
    """Satisfies `sticky.Forge`."""

    def __init__(self, place: PullRequest, clock: Clock) -> None:
        headers = {
            "Authorization": f"Bearer {place.token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._place = place
        self._api = Api("GitHub", place.api, headers, clock, ADVICE)
        self._graphql = Api("GitHub", place.graphql, headers, clock, ADVICE)

    def comments(self) -> Iterator[Posted]:
        """Yield all comments, the oldest first. A row that is not understood is left out."""
        for page in range(1, MOST_PAGES + 1):
            rows = self._api.call("GET", f"{self._issue}/comments", per_page=PAGE, page=page).body
            if not isinstance(rows, list):
                raise ForgeError("GitHub's list of comments is no list. Run the job again.")
            for row in rows:
                try:
                    one = _Comment.model_validate(row)
                except ValidationError:
                    continue
                yield Posted(one.id, self._is_own(one.user), one.body or "")
            if len(rows) < PAGE:
                return
        raise ForgeError(
            f"The pull request has more than {PAGE * MOST_PAGES:,} comments, so that an earlier review cannot be found. "
            "Nothing was posted."
        )

    def create(self, body: str) -> None:
        """Add a comment."""
        self._api.call("POST", f"{self._issue}/comments", {"body": body})

    def update(self, id_: int, body: str) -> None:
        """Replace the text of a comment."""
        self._api.call("PATCH", f"{self._repository}/issues/comments/{id_}", {"body": body})

    def delete(self, id_: int) -> None:
        """Remove a comment."""
        self._api.call("DELETE", f"{self._repository}/issues/comments/{id_}")

    @property
    def _repository(self) -> str:
        return f"repos/{self._place.repository}"

    @property
    def _issue(self) -> str:
        return f"{self._repository}/issues/{self._place.number}"

    def _is_own(self, user: _User | None) -> bool:
        """Return whether the account of the token is that user; a bot's login ends in `[bot]`, which no person's does."""
        if user is None:
            return False
        return user.login == self._login or (user.type == "Bot" and user.login == f"{self._login}[bot]")

    @cached_property
    def _login(self) -> str:
        body: Any = self._graphql.call("POST", "", {"query": "query { viewer { login } }"}).body
        try:
            return str(body["data"]["viewer"]["login"])
        except (KeyError, TypeError):
            raise ForgeError("GitHub does not say whose token it is, so that nothing was posted.") from None

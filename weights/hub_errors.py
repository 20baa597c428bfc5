"""What a hub of models refuses, and lines that break, as sentences for whoever runs the command."""

import contextlib
import errno
from collections.abc import Iterator

from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from weights.manifest import ManifestError


@contextlib.contextmanager
def readable(endpoint: str, repo: str, revision: str | None, has_token: bool) -> Iterator[None]:
    """Turn what the hub's client library raises in the block into a ManifestError that says what to do."""
    try:
        yield
    except HFValidationError:
        raise ManifestError(
            f"{repo} is no name of a repository: it looks like meta-llama/Llama-3.1-8B-Instruct"
        ) from None
    except (HTTPError, HfHubHTTPError, OSError) as error:
        # The library packs what it met on the way into an error of its own.
        met = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        inner = met if isinstance(met, HTTPError | OSError) else error
        sentence = _of_the_repository(inner, endpoint, repo, revision, has_token) or _of_the_way(inner, endpoint, repo)
        raise ManifestError(sentence) from None


def _of_the_repository(error: Exception, endpoint: str, repo: str, revision: str | None, has_token: bool) -> str:
    where = f"{endpoint}/{repo}"
    if isinstance(error, GatedRepoError) and has_token:
        return f"{repo} is gated, and HF_TOKEN does not open it. Has its account accepted the licence at {where} ?"
    if isinstance(error, GatedRepoError):
        return (
            f"{repo} is gated. Accept its licence at {where}, make a token that may read it, and put it into HF_TOKEN for "
            "this command."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no revision {revision}. Its commits are at {where}/commits/main"
    if isinstance(error, RepositoryNotFoundError):
        return f"There is no model {repo} at {endpoint}{'' if has_token else ', or it is private and HF_TOKEN is not set'}."
    return ""


def _of_the_way(error: Exception, endpoint: str, repo: str) -> str:
    again = "Run the command again: what is there is kept."
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return f"{endpoint} refuses HF_TOKEN (401): it is wrong or has expired."
        return f"{endpoint} answers {status} for {repo}. {again}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full ({error.filename or 'while downloading'}). Make room and run the command again."
    return f"{endpoint} could not be read ({type(error).__name__}). {again}"

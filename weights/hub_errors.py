"""Turn a hub's refusals and broken connections into sentences for the operator."""

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
def explain_errors(endpoint: str, repo: str, revision: str | None, has_token: bool) -> Iterator[None]:
    """Turn the errors of the hub's client library in the block into a ManifestError that says what to do."""
    try:
        yield
    except HFValidationError:
        raise ManifestError(
            f"{repo} is no name of a repository: it looks like meta-llama/Llama-3.1-8B-Instruct"
        ) from None
    except (HTTPError, HfHubHTTPError, OSError) as error:
        # The library wraps errors of the connection in an error of its own.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        inner = cause if isinstance(cause, HTTPError | OSError) else error
        sentence = _describe_repository_error(inner, endpoint, repo, revision, has_token)
        raise ManifestError(sentence or _describe_connection_error(inner, endpoint, repo)) from None


def _describe_repository_error(
    error: Exception, endpoint: str, repo: str, revision: str | None, has_token: bool
) -> str:
    page = f"{endpoint}/{repo}"
    if isinstance(error, GatedRepoError) and has_token:
        return f"{repo} is gated, and HF_TOKEN does not open it. Has its account accepted the licence at {page} ?"
    if isinstance(error, GatedRepoError):
        return (
            f"{repo} is gated. Accept its licence at {page}, make a token that may read it, and put it into HF_TOKEN for "
            "this command."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no revision {revision}. Its commits are at {page}/commits/main"
    if isinstance(error, RepositoryNotFoundError):
        return f"There is no model {repo} at {endpoint}{'' if has_token else ', or it is private and HF_TOKEN is not set'}."
    return ""


def _describe_connection_error(error: Exception, endpoint: str, repo: str) -> str:
    again = "Run the command again: what is there is kept."
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return f"{endpoint} refuses HF_TOKEN (401): it is wrong or has expired."
        return f"{endpoint} answers {status} for {repo}. {again}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full ({error.filename or 'while downloading'}). Make room and run the command again."
    return f"{endpoint} could not be read ({type(error).__name__}). {again}"

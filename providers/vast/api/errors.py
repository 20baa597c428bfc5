"""What can go wrong on the market, named after what the caller does about it.

    VastError
      CredentialsRefused      stop: the key is wrong; no statement about any instance follows from it
      OtherAccount            stop: the key is of another account, so no statement about any instance of ours follows from it
      AccountUnknown          stop: whose account the key is of cannot be read, and what is missing may be on another one
      NoCredit                stop: the account cannot pay; `instance_id` as in OfferGone
      RequestInvalid          stop: the market did not understand us
      RateLimited             wait `retry_after` seconds (None: unknown) and ask again
      OfferGone               take the next offer; `instance_id` is set where a contract was left behind all the same
      OutcomeUnknown          look the label up before any other step; the call may have taken effect
        NotLooked               tell the operator: a look failed, and nothing was changed
      nearest.NoMatchingOffer tell the operator: which offers came near, and what would have to give
      RentalFailed            give back, avoid the machine, take the next offer
        AttemptsExhausted       stop: so many machines in a row would not do; everything is given back
      BreakerOpen             stop: renting is off for the whole account; the message says why, and for how long
      ImageRefused            give back, stop: two machines were refused the image by its registry
      ImageMissing            give back, stop: its registry has no such image
      UpdateFailed            stop: an instance could not be changed; the message says what it serves meanwhile
      LeftRented              the market did not answer for so long that an instance is left rented, which may be fine
      holding.LeftToAnother   stop: another create has seen this very instance serve; it is left to that one
      StillRented             giving back could not be confirmed: say what costs money and how to end it
      SettingsInvalid         stop: an input of the resource is not what it must be

No message carries a key. `str(error)` is one paragraph for the operator.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum


def format_price(usd_per_hour: float | None) -> str:
    """Write what an instance costs an hour; None where nobody knows."""
    return "an unknown price" if usd_per_hour is None else f"${usd_per_hour:.3f}/h"


class VastError(Exception):
    """Anything that the market or the way to it refused."""


class CredentialsRefused(VastError):
    """The market does not know the key, or the key may not do this.

    The live market says so with 401, 403 or, most often, **404** and `auth_error`; it never means that something is gone.
    """


SET_KEY = "pulumi config set --secret gpu-fleet:vastApiKey"


@dataclass
class OtherAccount(VastError):
    """A valid key of another account than the one that state names. `what` begins the sentence, `found` is that account."""

    what: str
    known: int
    found: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{self.what} on account {self.known} of the market, and gpu-fleet:vastApiKey is a key of account {self.found}, "
            "which cannot see it. Nothing was given back and nothing is dropped from state; what is rented goes on costing. "
            f"Set a key of account {self.known}: {SET_KEY}"
        )


@dataclass
class AccountUnknown(VastError):
    """Nobody knows whose account the key is of. `what` begins the sentence, `cause` is why."""

    what: str
    known: int
    cause: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{self.what} on account {self.known} of the market, and whether the key in gpu-fleet:vastApiKey is of that "
            f"account cannot be read: {self.cause}. Nothing is dropped from state; what is rented goes on costing. A key "
            "needs the scopes misc, instance_read, instance_write and user_read. Run the command again, or first set "
            f"another key: {SET_KEY}"
        )


@dataclass
class NoCredit(VastError):
    """The account lacks credit, or meets its spend limit. `instance_id`: a contract that exists in spite of the refusal."""

    message: str
    instance_id: int | None = None

    def __str__(self) -> str:
        """Sentence for the operator."""
        return self.message


class RequestInvalid(VastError):
    """A request that the market refuses as such; repeating it does not help."""


class BreakerOpen(VastError):
    """Renting is stopped for the whole account, because going on could rent everything a second time."""


class SettingsInvalid(VastError):
    """Inputs of an instance that no market could fulfil, or that do not parse."""


@dataclass
class RateLimited(VastError):
    """HTTP 429. `retry_after` is in seconds, None where the market gave no hint."""

    call: str
    retry_after: float | None = None

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"vast.ai refuses to answer '{self.call}' any faster. "
            "Other programs that use the same key or address count too; wait a minute and run the command again."
        )


@dataclass
class OfferGone(VastError):
    """The offer was taken, or cannot start now. `instance_id`: a contract that exists in spite of the refusal."""

    offer_id: int
    message: str
    instance_id: int | None = None

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"offer {self.offer_id} is gone: {self.message}"


@dataclass
class OutcomeUnknown(VastError):
    """Time-out, dropped connection, 5xx, or an answer that does not parse: the call may have taken effect."""

    call: str
    what_happened: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"vast.ai gave no usable answer to '{self.call}' ({self.what_happened})"


@dataclass
class NotLooked(OutcomeUnknown):
    """A preview or a refresh that the market did not answer; it is not waited for longer than the client does."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{super().__str__()}. Nothing was changed by this, and what the state says stays. Run the command again once "
            "the market answers; `gpu-fleet sweep` says whether it does"
        )


TIME_OVER = "then the time for all attempts was over (limits.totalMinutes of the fleet)"


@dataclass
class RentalFailed(VastError):
    """A rented instance that will not do. `reason` is one word out of the ledger's closed list."""

    instance_id: int
    reason: str
    message: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"instance {self.instance_id}: {self.message}"


class AttemptsExhausted(RentalFailed):
    """No attempt came to serve; `instance_id` is of the last one, 0 for none, and `message` tells of all."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return self.message


@dataclass
class ImageRefused(VastError):
    """The registry refused the image to two machines; both are given back. `message`: of the second one's RentalFailed."""

    instance_id: int
    message: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{self.message}. Another machine was refused before, so no further one is tried; "
            "everything was given back. Check the fleet's image and its login, then run `pulumi up` again."
        )


@dataclass
class ImageMissing(ImageRefused):
    """The registry has no such image, so no machine could pull it; what was rented is given back."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{self.message}. No machine could pull it, so no further one is tried; everything was given back. "
            "Check the fleet's image, its tag or digest, then run `pulumi up` again."
        )


class Meanwhile(Enum):
    """What an instance does after a change in place that did not succeed, in words."""

    SERVES_AS_BEFORE = "serves with its settings of before"
    STILL_SERVES = "still serves: its gate is open and vLLM answers"
    GATE_CLOSED = "serves no requests: its gate is closed"
    VLLM_SILENT = "serves no requests: vLLM does not answer"
    UNKNOWN = "may still serve: it could not be looked at"


@dataclass
class UpdateFailed(VastError):
    """A change in place that did not succeed, and what the instance does meanwhile."""

    instance_id: int
    usd_per_hour: float | None
    cause: str
    meanwhile: Meanwhile

    def __str__(self) -> str:
        """Sentence for the operator."""
        price = format_price(self.usd_per_hour)
        return (
            f"{self.cause}\nInstance {self.instance_id} {self.meanwhile.value}. It goes on costing {price}. "
            "Correct the stack's config, or let `pulumi refresh` look at it, and run `pulumi up` again. Another machine: "
            "`pulumi up --replace '**<its name>'`."
        )


@dataclass
class LeftRented(VastError):
    """An instance that was left as it is, because the market gave no usable answer until the create had to end."""

    instance_id: int
    usd_per_hour: float | None
    cause: str

    def __str__(self) -> str:
        """Sentence for the operator, with the commands that take it over or end it."""
        price = format_price(self.usd_per_hour)
        return (
            f"{self.cause}, for as long as this create may take. INSTANCE {self.instance_id} IS STILL RENTED at {price}; it "
            "was not given back, because nothing speaks against it. Run `pulumi up` again: it goes on with this instance. "
            f"Or end it with `vastai destroy instance {self.instance_id} -y`; nothing else is sure to end it."
        )


@dataclass
class StillRented(VastError):
    """Giving back was asked for and not confirmed, so the instance may still cost `usd_per_hour`."""

    instance_id: int
    usd_per_hour: float | None
    cause: str

    def __str__(self) -> str:
        """Sentence for the operator, with the command that ends the cost."""
        price = format_price(self.usd_per_hour)
        return (
            f"INSTANCE {self.instance_id} MAY STILL BE RENTED at {price}: {self.cause}. "
            f"End it with `vastai destroy instance {self.instance_id} -y` or on the market's console, "
            "then run the command again."
        )


# Nothing is known after these: neither of the key nor of any instance.
DOUBTS: tuple[type[VastError], ...] = (RateLimited, OutcomeUnknown)


def not_looked(error: VastError) -> VastError:
    """Return what an operator is told of a look that failed: of one without an answer what follows, of any other itself."""
    return NotLooked(error.call, error.what_happened) if isinstance(error, OutcomeUnknown) else error


@contextmanager
def looking() -> Iterator[None]:
    """Let the block's errors be those of a look, as `not_looked` says them."""
    try:
        yield
    except OutcomeUnknown as error:
        raise not_looked(error) from None

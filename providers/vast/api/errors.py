"""The market's errors. Each class is named after the caller's reaction to it.

    VastError
      CredentialsRefused      stop: the key is wrong; it proves nothing about any instance
      OtherAccount            stop: the key is of another account; it proves nothing about our instances
      AccountUnknown          stop: the key's account cannot be read, so missing instances may be on another account
      NoCredit                stop: the account cannot pay; `instance_id` as in OfferGone
      RequestInvalid          stop: the market rejected the request as invalid
      RateLimited             wait `retry_after` seconds (None: unknown) and ask again
      OfferGone               take the next offer; `instance_id` is set if the refusal left a contract behind
      OutcomeUnknown          look for the label before any other step; the call may have taken effect
        NotLooked               tell the operator: a look failed, and it changed nothing
      why_not.NoMatchingOffer tell the operator which offers came near and which requirement to relax
      RentalFailed            give back, avoid the machine, take the next offer
        AttemptsExhausted       stop: every attempt failed; everything is given back
      budget.errors.BudgetRefused  stop: a rent could pass the budget, or the spent sum is unknown
      BreakerOpen             stop: the breaker stops all renting on the account; the message gives reason and duration
      ImageRefused            give back, stop: the registry refused the image to two machines
      ImageMissing            give back, stop: the registry has no such image
      UpdateFailed            stop: an update in place failed; the message tells the instance's state meanwhile
      LeftRented              the market gave no answer for too long; an instance stays rented and may be fine
      adopt.LeftToAnother     stop: another create saw this same instance serve, so we leave it to that create
      StillRented             the end of an instance is unconfirmed: name the cost and the command that ends it
      SettingsInvalid         stop: an input of the resource is invalid

No message contains a key. `str(error)` is one paragraph for the operator.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum


def format_price(usd_per_hour: float | None) -> str:
    """Format the hourly price of an instance; None means that the price is unknown."""
    return "an unknown price" if usd_per_hour is None else f"${usd_per_hour:.3f}/h"


class VastError(Exception):
    """Base class: the market, or the network on the way to it, refused something."""


class CredentialsRefused(VastError):
    """The market rejects the key, or the key may not make this call.

    The live market answers with 401, 403 or, most often, **404** and `auth_error`. It never means that an instance is
    gone.
    """


SET_KEY = "pulumi config set --secret gpu-fleet:vastApiKey"


@dataclass
class OtherAccount(VastError):
    """The key is valid, but of another account than state names. `what` begins the sentence, `found` is its account."""

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
    """The key's account cannot be read. `what` begins the sentence, `cause` is the reason."""

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
    """The account lacks credit or reached its spend limit. `instance_id`: a contract that exists nevertheless."""

    message: str
    instance_id: int | None = None

    def __str__(self) -> str:
        """Sentence for the operator."""
        return self.message


class RequestInvalid(VastError):
    """The market rejects the request as invalid; repeating it does not help."""


class BreakerOpen(VastError):
    """The breaker stops all renting on the account, because renting on could rent everything a second time."""


class SettingsInvalid(VastError):
    """Inputs of an instance that do not parse or that no market could fulfil."""


@dataclass
class RateLimited(VastError):
    """HTTP 429. `retry_after` is in seconds, None if the market gave no hint."""

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
    """The offer is taken or cannot start now. `instance_id`: a contract that exists despite the refusal."""

    offer_id: int
    message: str
    instance_id: int | None = None

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"offer {self.offer_id} is gone: {self.message}"


@dataclass
class OutcomeUnknown(VastError):
    """Time-out, dropped connection, 5xx, or an answer that does not parse. The call may have taken effect."""

    call: str
    what_happened: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"vast.ai gave no usable answer to '{self.call}' ({self.what_happened})"


@dataclass
class NotLooked(OutcomeUnknown):
    """The market did not answer a preview or a refresh. These wait no longer than the client's own retries."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{super().__str__()}. Nothing was changed by this, and what the state says stays. Run the command again once "
            "the market answers; `gpu-fleet sweep` says whether it does"
        )


TIME_OVER = "then the time for all attempts was over (limits.totalMinutes of the fleet)"


@dataclass
class RentalFailed(VastError):
    """A rented instance failed. `reason` is one word from the ledger's closed list."""

    instance_id: int
    reason: str
    message: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        return f"instance {self.instance_id}: {self.message}"


class AttemptsExhausted(RentalFailed):
    """Every attempt failed. `instance_id` is the last attempt's, 0 if there was none; `message` describes all."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return self.message


@dataclass
class ImageRefused(VastError):
    """The registry refused the image to two machines; both are given back. `message` is the second RentalFailed's."""

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
    """The registry has no such image, so no machine could pull it. Every rented machine is given back."""

    def __str__(self) -> str:
        """Sentence for the operator."""
        return (
            f"{self.message}. No machine could pull it, so no further one is tried; everything was given back. "
            "Check the fleet's image, its tag or digest, then run `pulumi up` again."
        )


class Meanwhile(Enum):
    """The state of an instance after a failed update in place, in words."""

    SERVES_AS_BEFORE = "serves with its settings of before"
    STILL_SERVES = "still serves: its gate is open and vLLM answers"
    GATE_CLOSED = "serves no requests: its gate is closed"
    VLLM_SILENT = "serves no requests: vLLM does not answer"
    UNKNOWN = "may still serve: it could not be looked at"


@dataclass
class UpdateFailed(VastError):
    """An update in place failed. `meanwhile` is the instance's state now."""

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
    """An instance stays rented and unchanged, because the market gave no usable answer before the create had to end."""

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
    """The market did not confirm the end of an instance, so it may still cost `usd_per_hour`."""

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


# After these errors we know nothing about the key or any instance.
DOUBTS: tuple[type[VastError], ...] = (RateLimited, OutcomeUnknown)


def not_looked(error: VastError) -> VastError:
    """Return the operator's error for a failed look: NotLooked for OutcomeUnknown, any other error unchanged."""
    return NotLooked(error.call, error.what_happened) if isinstance(error, OutcomeUnknown) else error


@contextmanager
def looking() -> Iterator[None]:
    """Turn OutcomeUnknown in the block into NotLooked, as `not_looked` does."""
    try:
        yield
    except OutcomeUnknown as error:
        raise not_looked(error) from None

"""Read the last word of a host that ended itself: one object an instance, `ledger/last-words/<stack id>.<name>.<id>.json`.

The host writes it by a presigned URL that opens this object only, for WORD_BYTES and for seven days at most. A landlord is
root on his machine and may write any text there. So a word is numbers and one of three reasons, and no command
shows its text as it stands. The word explains how an instance ended. Only the market proves that it ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap.clock import Clock
from providers.ledger.bucket_objects import PREFIX
from providers.store.client import Keys, LateClient, connect
from providers.store.errors import StoreError
from providers.vast.api import label

WORD_BYTES = 512
READ_SECONDS = 5.0
LONGEST_SECONDS = 10 * 365 * 86400
TODAY_SECONDS = 12 * 3600.0


class _Object(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a later kit may say more

    version: Literal[1]
    why: Literal["idle", "lease", "lifetime"]
    idle_seconds: int = Field(ge=0, le=LONGEST_SECONDS)
    lived_seconds: int = Field(ge=0, le=LONGEST_SECONDS)


@dataclass(frozen=True)
class LastWord:
    """Why a host ended itself. `at`: unix seconds by the store's clock, because a host's clock may be wrong."""

    why: str
    at: float
    idle_seconds: int
    lived_seconds: int

    def describe(self, now: float) -> str:
        """Return the word as the end of a sentence: `ended itself at 14:02 UTC after 30 idle minutes`."""
        form = "%H:%M UTC" if abs(now - self.at) < TODAY_SECONDS else "%H:%M UTC on %Y-%m-%d"
        why = {
            "idle": f"after {_idle(self.idle_seconds)}",
            "lease": f"after {_idle(self.idle_seconds)}, because its lease was not renewed",
            "lifetime": f"at the end of its maxHours, after {self.lived_seconds / 3600:.1f} hours",
        }[self.why]
        return f"ended itself at {datetime.fromtimestamp(self.at, UTC):{form}} {why}"


class LastWords(Protocol):
    """Storage of last words. Reading never raises, and ends within seconds."""

    def read(self, mark: str, instance_id: int) -> LastWord | None:
        """Return the last word of an instance by its label and id; None if it left none, or the store does not tell."""


class NoWords:
    """Storage without words, for a store without keys."""

    def read(self, _mark: str, _instance_id: int) -> LastWord | None:
        """Return None."""
        return None


class BucketWords:
    """Last words in a bucket; satisfies `LastWords`. `connect` makes the boto3 client at the first use."""

    def __init__(self, connect: Callable[[], Any], bucket: str) -> None:
        self._client, self._bucket = LateClient(connect), bucket

    def read(self, mark: str, instance_id: int) -> LastWord | None:
        """Return the last word of an instance."""
        key = key_of(mark, instance_id)
        if key is None:
            return None
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=key)
            found = _Object.model_validate_json(answer["Body"].read(WORD_BYTES + 1))
            return LastWord(found.why, answer["LastModified"].timestamp(), found.idle_seconds, found.lived_seconds)
        except (BotoCoreError, ClientError, StoreError, OSError, ValidationError):
            return None


@lru_cache(maxsize=8)
def open_last_words(endpoint: str, region: str, bucket: str, keys: Keys, _clock: Clock) -> BucketWords | NoWords:
    """Return the last words of a bucket."""
    if not keys.access or not keys.secret:
        return NoWords()
    return BucketWords(lambda: connect(endpoint, region, keys, 2, READ_SECONDS), bucket)


def key_of(mark: str, instance_id: int) -> str | None:
    """Return the key of an instance's last word, None if the label is none of ours. Readers of events skip it."""
    parts = label.parse(mark)
    return f"{PREFIX}last-words/{parts.stack_id}.{parts.name}.{instance_id}.json" if parts else None


def _idle(seconds: int) -> str:
    return f"{seconds / 60:.0f} idle minutes" if seconds >= 90 else f"{seconds} idle seconds"

"""The last word of a host, in a real object store: written by a URL that opens one object for so many bytes, and no more."""

import json
import time
import urllib.error
import urllib.request

import pytest

from bootstrap.artifacts import Artifacts
from providers.ledger.bucket_objects import listed
from providers.ledger.last_word import WORD_BYTES, BucketWords, NoWords, key_of, open_last_words
from providers.store.client import Keys, connect
from tests.doubles.clock import FakeClock

LABEL = "gpu-fleet/abcd/chat-0"
WORD = {"version": 1, "why": "idle", "idle_seconds": 1803, "lived_seconds": 9000}


@pytest.fixture
def url(store, keys, s3, name):
    s3.create_bucket(Bucket=name)
    artifacts = Artifacts(store.endpoint, "sandbox", name, keys.access, keys.secret)
    key = key_of(LABEL, 7)
    assert key is not None
    return artifacts.presign_write(key, WORD_BYTES, 60)


@pytest.fixture
def words(s3, name, url):
    return BucketWords(lambda: s3, name)


def put(url: str, body: bytes) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def padded(word: object) -> bytes:
    return json.dumps(word).encode().ljust(WORD_BYTES)


def test_a_word_is_written_without_any_key_and_read_with_the_store_s_time(url, words):
    assert words.read(LABEL, 7) is None

    assert put(url, padded(WORD)) == 200

    found = words.read(LABEL, 7)
    assert (found.why, found.idle_seconds, found.lived_seconds) == ("idle", 1803, 9000)
    assert abs(found.at - time.time()) < 60
    assert words.read(LABEL, 8) is None
    assert words.read("gpu-fleet/abcd/chat-1", 7) is None


def test_the_url_takes_no_other_length_and_opens_no_other_object(url, words, s3, name):
    assert put(url, b"x" * (WORD_BYTES + 1)) == 403
    assert put(url, b"x") == 403
    assert put(url.replace("chat-0", "chat-1"), padded(WORD)) == 403
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url, timeout=10)

    assert s3.list_objects_v2(Bucket=name).get("KeyCount") == 0


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not a word",
        padded({**WORD, "why": "<b>because</b>"}),
        padded({**WORD, "version": 2}),
        padded({**WORD, "idle_seconds": -1}),
        padded({**WORD, "lived_seconds": 1e30}),
        b"[" * WORD_BYTES,
        json.dumps({**WORD, "more": "x" * 10_000}).encode(),
    ],
)
def test_a_landlord_who_writes_something_else_has_left_no_word(words, s3, name, text):
    s3.put_object(Bucket=name, Key=key_of(LABEL, 7), Body=text)

    assert words.read(LABEL, 7) is None


def test_readers_of_events_skip_words(url, s3, name):
    put(url, padded(WORD))

    assert list(listed(s3, name)) == []


def test_a_store_that_does_not_answer_or_has_no_keys_has_no_word():
    dead = BucketWords(lambda: connect("http://127.0.0.1:1", "sandbox", Keys("a", "b"), 1, 1), "bucket")

    assert dead.read(LABEL, 7) is None
    assert dead.read("my own label", 7) is None
    assert isinstance(open_last_words("http://127.0.0.1:1", "r", "b", Keys("", ""), FakeClock()), NoWords)

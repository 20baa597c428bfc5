"""A host's view: nothing but a URL."""

import time
import urllib.error
import urllib.request

import pytest

from bootstrap.artifacts import Artifacts
from providers.store.blobs import Blobs
from providers.store.inputs import BlobsInputs

CONTENT = b"weights" * 1000


@pytest.fixture
def artifacts(store, keys, s3, name, blobs_props):
    s3.create_bucket(Bucket=name)
    Blobs(s3, BlobsInputs.from_props(blobs_props), print).upload_missing()
    return Artifacts(store.endpoint, "sandbox", name, keys.access, keys.secret)


@pytest.fixture
def digest(manifest):
    return next(file.sha256 for file in manifest.files if file.path == "sub/weights")


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_a_blob_is_fetched_without_any_key(artifacts, digest):
    assert get(artifacts.presign(digest, 60)) == (200, CONTENT)


def test_a_broken_fetch_goes_on_where_it_stopped(artifacts, digest):
    assert get(artifacts.presign(digest, 60), Range="bytes=6990-") == (206, CONTENT[6990:])


def test_a_url_opens_its_own_blob_only_and_cannot_write(artifacts, digest, manifest):
    other = next(file.sha256 for file in manifest.files if file.path == "twin")
    url = artifacts.presign(digest, 60)
    assert get(url.replace(digest, other))[0] == 403
    request = urllib.request.Request(url, data=b"other", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_a_url_ends(artifacts, digest):
    url = artifacts.presign(digest, 1)
    deadline = time.monotonic() + 15
    while (status := get(url)[0]) == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 403


def test_a_blob_that_is_not_there_is_not_found(artifacts):
    assert get(artifacts.presign("0" * 64, 60))[0] == 404

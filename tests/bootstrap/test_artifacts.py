from urllib.parse import parse_qs, urlsplit

import pytest

from bootstrap.artifacts import LONGEST_SECONDS, Artifacts

DIGEST = "ab" * 32


def artifacts(endpoint: str = "https://s3.sandbox.internal", secret: str = "a secret") -> Artifacts:
    return Artifacts(endpoint, "fsn1", "models", "access", secret)


def test_a_url_names_the_place_as_hosts_see_it_and_how_long_it_lasts():
    url = urlsplit(artifacts().presign(DIGEST, 900))
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc, url.path) == ("https", "s3.sandbox.internal", f"/models/blobs/sha256/{DIGEST}")
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["host"]


def test_the_secret_is_not_in_the_url_and_signs_it():
    one, other = artifacts().presign(DIGEST, 60), artifacts(secret="another").presign(DIGEST, 60)
    assert "secret" not in one
    assert parse_qs(urlsplit(one).query)["X-Amz-Signature"] != parse_qs(urlsplit(other).query)["X-Amz-Signature"]


def test_the_operators_own_aws_profile_changes_nothing(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = mars\n[profile other]\nregion = moon\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "leak")
    url = artifacts().presign(DIGEST, 60)
    assert url.startswith("https://s3.sandbox.internal/")
    assert "fsn1" in url
    assert "leak" not in url


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
def test_a_time_that_no_store_accepts_is_refused(seconds):
    with pytest.raises(ValueError, match="lasts 1 to"):
        artifacts().presign(DIGEST, seconds)


@pytest.mark.parametrize("endpoint", ["", "s3.example", "ftp://s3.example", "https://", "https://s3.example/bucket"])
def test_an_endpoint_that_is_no_url_of_a_store_is_refused(endpoint):
    with pytest.raises(ValueError, match="endpoint"):
        artifacts(endpoint)


def test_empty_keys_are_refused_before_anything_is_signed():
    with pytest.raises(ValueError, match="access key and a secret key"):
        artifacts(secret="")

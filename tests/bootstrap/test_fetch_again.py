"""What the fetch script does when the line drops, the store is down, it is killed or the machine restarts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import remote_scripts
from tests.doubles.range_store import Store, entry, fetch, start, store
from tests.doubles.until import until

pytestmark = pytest.mark.service

__all__ = ["store"]  # the fixture


def test_a_cut_connection_is_taken_up_where_it_was(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(1000))]
    store.cut["a.bin"] = 1

    done = fetch(tmp_path / "model", files, patience_seconds=5)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]
    assert store.requests == ["bytes=0-999", "bytes=500-999"]
    assert json.loads(done.stdout)["bytes"] == 1000


def test_a_killed_fetch_is_taken_up_where_it_was(store: Store, tmp_path: Path) -> None:
    size, block = 3_000_000, 1 << 17
    there = 2_500_000 // block * block
    files = [entry(store, name, os.urandom(size), size) for name in ("a.bin", "b.bin")]
    store.stop_after = 2_500_000
    child = start(tmp_path / "model", files, part_bytes=size, patience_seconds=20)
    note = tmp_path / "model.progress"
    try:
        until(lambda: note.exists() and list(json.loads(note.read_text()).values()) == [there] * 2)
    finally:
        child.kill()
        child.wait()
    store.hold.set()
    store.stop_after = None
    store.requests.clear()

    done = fetch(tmp_path / "model", files, part_bytes=size)

    assert done.returncode == 0, done.stderr
    assert sorted(store.requests) == [f"bytes={there}-{size - 1}"] * 2
    assert json.loads(done.stdout)["bytes"] == 2 * (size - there)
    assert json.loads(done.stdout)["kept"] == 2 * there
    assert not note.exists()


def test_what_a_power_cut_took_from_a_part_is_found_at_its_end(store: Store, tmp_path: Path) -> None:
    data = os.urandom(1000)
    files = [entry(store, "a.bin", data)]
    (tmp_path / "model.part").mkdir()
    (tmp_path / "model.part/a.bin").write_bytes(b"\0" * 1000)
    (tmp_path / "model.progress").write_text(json.dumps({"a.bin:0": 700}))

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert store.requests == ["bytes=700-999", "bytes=0-999"]
    assert (tmp_path / "model/a.bin").read_bytes() == data


@pytest.mark.parametrize("note", ["", "[]", '{"a.bin:0": "x"}', '{"a.bin:0": -5, "other:9": 3}', '{"a.bin:0": 99999}'])
def test_a_damaged_note_costs_bytes_and_nothing_else(store: Store, tmp_path: Path, note: str) -> None:
    data = os.urandom(2500)
    files = [entry(store, "a.bin", data)]
    (tmp_path / "model.part").mkdir()
    (tmp_path / "model.part/a.bin").write_bytes(b"\0" * 2500)
    (tmp_path / "model.progress").write_text(note)

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/a.bin").read_bytes() == data


def test_a_store_that_is_down_for_a_while_is_waited_for(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(2500))]
    store.status, store.answers_of_status = 503, 9

    done = fetch(tmp_path / "model", files, patience_seconds=20, pause_seconds=0.01)

    assert done.returncode == 0, done.stderr


def test_a_fetch_that_fails_says_how_much_came_before(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(2500)), entry(store, "b.bin", os.urandom(10))]
    del store.blobs["b.bin"]

    done = fetch(tmp_path / "model", files, connections=1)

    assert done.returncode == 4
    assert json.loads(done.stdout)["bytes"] == 2500


def test_a_store_that_stays_down_is_given_up_after_the_patience(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(2500))]
    store.status, store.body = 503, b"<Error><Code>SlowDown</Code><Message>secret</Message></Error>"

    done = fetch(tmp_path / "model", files, patience_seconds=0.2, pause_seconds=0.05)

    assert done.returncode == 6
    assert "the store answers 503 (SlowDown) for /a.bin, and no byte for" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(("lasts", "status"), [(3600, 4), (0, 8)])
def test_an_expired_url_is_renewed_unless_it_was_young(store: Store, tmp_path: Path, lasts: int, status: int) -> None:
    files = [entry(store, "a.bin", os.urandom(500))]
    store.status, store.body = 403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"

    done = fetch(tmp_path / "model", files, urls_last_seconds=lasts)

    assert done.returncode == status
    assert "(AccessDenied) for /a.bin: the URL has expired" in done.stderr


def test_a_line_that_goes_slow_is_noticed_although_it_was_fast(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(400)), entry(store, "b.bin", os.urandom(1000))]
    store.stop_after = 500

    done = fetch(
        tmp_path / "model", files, least_mbps=0.001, patience_seconds=60, rate_after_seconds=0.1, rate_over_seconds=0.3
    )
    store.hold.set()

    assert done.returncode == 7
    assert "Mb/s are the least" in done.stderr


@pytest.mark.parametrize(("url", "expected"), [("good", True), ("gone", False), ("file", False), ("closed", False)])
def test_a_host_measures_its_line_by_a_file_from_elsewhere(store: Store, url: str, expected: bool) -> None:
    entry(store, "big.bin", os.urandom(2_000_000))
    place = {
        "good": f"http://127.0.0.1:{store.port}/big.bin",
        "gone": f"http://127.0.0.1:{store.port}/gone.bin",
        "file": "file:///etc/hostname",
        "closed": "http://127.0.0.1:9/x",
    }[url]
    order = {"url": place, "connections": 3, "seconds": 5.0, "bytes": 1_000_000}

    done = subprocess.run(
        [sys.executable, "-S", "-"],
        input=remote_scripts.program("reference.py", order),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["mbps"] is not None) == expected

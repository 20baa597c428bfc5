import base64
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from bootstrap.artifacts import s3_client
from sandbox.services.child import Child, ServiceError
from sandbox.services.object_store import ADMIN, NAME_FOR_HOSTS, SOCKETS, STRANGER, Account, ObjectStore
from tests.doubles.until import until

pytestmark = pytest.mark.service

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("store")) as running:
        yield running


def client(store: ObjectStore, account: Account = ADMIN):
    return s3_client(store.endpoint, "sandbox", account.access_key, account.secret_key)


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_it_keeps_objects(store):
    s3 = client(store)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=b"content")
    assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"content"


def test_a_bucket_does_not_spring_up_by_being_written_to(store):
    assert code(lambda: client(store).put_object(Bucket="never-made", Key="a", Body=b"")) == "NoSuchBucket"


def test_a_bucket_with_objects_is_not_deleted(store):
    s3 = client(store)
    s3.create_bucket(Bucket="full")
    s3.put_object(Bucket="full", Key="a", Body=b"1")
    assert code(lambda: s3.delete_bucket(Bucket="full")) == "BucketNotEmpty"


def test_keys_are_checked(store):
    wrong = Account(ADMIN.access_key, "wrong", ())
    assert code(lambda: client(store, wrong).list_buckets()) == "SignatureDoesNotMatch"
    assert code(lambda: client(store, Account("nobody", "x", ())).list_buckets()) == "InvalidAccessKeyId"


def test_the_second_account_sees_its_own_bucket_only(store):
    client(store).create_bucket(Bucket="private")
    assert code(lambda: client(store, STRANGER).list_objects_v2(Bucket="private")) == "AccessDenied"
    client(store, STRANGER).create_bucket(Bucket="stranger")
    assert client(store, STRANGER).list_objects_v2(Bucket="stranger")["KeyCount"] == 0


def test_a_body_that_is_not_what_its_digest_says_is_refused(store):
    s3 = client(store)
    s3.create_bucket(Bucket="digests")
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert code(lambda: s3.put_object(Bucket="digests", Key="a", Body=b"this", ContentMD5=other)) == "BadDigest"


def test_hosts_reach_it_by_name_over_tls(store):
    context = ssl.create_default_context(cadata=store.ca_pem)
    with (
        socket.create_connection(("127.0.0.1", store.https_port), 10) as raw,
        context.wrap_socket(raw, server_hostname=NAME_FOR_HOSTS) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {NAME_FOR_HOSTS}\r\nConnection: close\r\n\r\n".encode())
        assert tls.recv(4096).startswith(b"HTTP/1.1 403")


def test_starting_again_finds_the_objects_and_the_same_authority(tmp_path):
    with ObjectStore(tmp_path) as first:
        ca = first.ca_pem
        client(first).create_bucket(Bucket="lasting")
        client(first).put_object(Bucket="lasting", Key="a", Body=b"1")
    assert first.pid is None
    with ObjectStore(tmp_path) as second:
        assert second.ca_pem == ca
        assert client(second).get_object(Bucket="lasting", Key="a")["Body"].read() == b"1"


def test_it_leaves_no_socket_behind(tmp_path):
    store = ObjectStore(tmp_path)
    with store:
        own = {file for port in store.ports for file in SOCKETS.glob(f"seaweedfs-*-{port}.sock")}
        assert own

    assert [file for file in own if file.exists()] == []


def test_a_wanted_port_in_use_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"Port {port} is in use by process {os.getpid()} .*--store-port"):
            ObjectStore(tmp_path, http_port=port).start()


def test_a_full_disk_is_said_before_anything_starts(tmp_path):
    store = ObjectStore(tmp_path, free_bytes=lambda _: 5 * 2**20)
    with pytest.raises(ServiceError, match="has 5 MiB left"):
        store.start()
    assert store.pid is None


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot use"):
        ObjectStore(tmp_path / "file").start()


def test_a_server_that_ends_at_once_is_said_with_its_last_words(tmp_path):
    (tmp_path / "objects").write_text("not a folder")
    with pytest.raises(ServiceError, match="object store"):
        ObjectStore(tmp_path).start()


def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from sandbox.services.object_store import ObjectStore\n"
        "store = ObjectStore(Path(sys.argv[1])); store.start(); print(store.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        assert running(pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert until(lambda: not running(pid))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path):
    made: list[Child] = []
    thread = threading.Thread(target=lambda: made.append(Child("sleep", ["600"], {}, tmp_path / "log")))
    thread.start()
    thread.join()
    with pytest.raises(AssertionError, match="the child to end"):
        until(lambda: made[0].status() is not None, "the child to end", 0.5)
    made[0].stop(grace_seconds=5)
    assert made[0].status() == -signal.SIGTERM


def test_a_child_that_ignores_us_is_killed(tmp_path):
    child = Child("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], {}, tmp_path / "log")
    assert until(lambda: "ready" in child.tail())
    child.stop(grace_seconds=0.1)
    assert child.status() == -signal.SIGKILL


def test_a_program_that_does_not_exist_ends_with_a_reason_in_its_log(tmp_path):
    child = Child("no-such-program", [], {}, tmp_path / "log")
    assert until(lambda: child.status() is not None)
    assert "no-such-program" in child.tail()

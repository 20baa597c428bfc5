"""The book of reservations: one renter at a time, between processes and computers; what cannot be read is unknown."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from providers.budget.book import BucketBook, ChosenBook, FileBook, file_lock, text_of
from providers.budget.errors import SpendUnknown
from providers.budget.reservations import Book, Reservation
from providers.store.shared_object import SharedObject
from tests.doubles.clock import FakeClock

KEY = "budget/s.json"


def one(name: str = "chat-0") -> Reservation:
    return Reservation(name=name, at=1, until=2, usd_per_hour=0.5)


def adding(key: str) -> Callable[[Book], Book]:
    return lambda book: book.with_reservation(key, one())


def refusal(code: str, status: int = 412) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


class Bucket:
    """A bucket in memory. `obeys`: conditions hold; else they are ignored, or refused with the code `refuses`."""

    meta = SimpleNamespace(endpoint_url="http://store")

    def __init__(self, obeys: bool = True, refuses: str = "") -> None:
        self.obeys, self.refuses = obeys, refuses
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.written = 0
        self.before_put: list[Callable[[], object]] = []
        self.broken: Exception | None = None

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if self.broken:
            raise self.broken
        if Key not in self.objects:
            raise refusal("NoSuchKey", 404)
        body, etag = self.objects[Key]
        return {"Body": SimpleNamespace(read=lambda: body), "ETag": etag}

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"ETag": self.objects[Key][1]}

    def put_object(self, **order: Any) -> None:
        key, match, none_match = order["Key"], order.get("IfMatch"), order.get("IfNoneMatch")
        if self.broken:
            raise self.broken
        if self.before_put:
            self.before_put.pop(0)()
        if self.refuses:
            raise refusal(self.refuses, 501)
        known = self.objects.get(key)
        lost = bool(none_match and known) or (match is not None and (known is None or known[1] != match))
        if self.obeys and lost:
            raise refusal("PreconditionFailed")
        self.written += 1
        self.objects[key] = (order["Body"], f'"{self.written}"')


def shared(bucket: Bucket) -> SharedObject:
    return SharedObject(lambda: bucket, "bucket", KEY)


def bucket_book(bucket: Bucket, folder: Path) -> BucketBook:
    return BucketBook(shared(bucket), "s3://bucket/budget", FakeClock(), file_lock(folder / "lock"))


def test_no_change_is_lost_when_another_computer_is_faster(tmp_path: Path) -> None:
    bucket = Bucket()
    book, other = (
        bucket_book(bucket, tmp_path),
        BucketBook(shared(bucket), "s3://bucket/budget", FakeClock(), file_lock(tmp_path / "other")),
    )
    book.change(adding("first"))
    bucket.before_put = [lambda: other.change(adding("theirs"))]

    book.change(adding("ours"))

    assert set(book.read().reservations) == {"first", "theirs", "ours"}


def test_nothing_is_written_if_nothing_changes(tmp_path: Path) -> None:
    bucket = Bucket()

    bucket_book(bucket, tmp_path).change(lambda book: book)

    assert bucket.written == 0


def test_a_computer_that_is_always_slower_gives_up(tmp_path: Path) -> None:
    bucket = Bucket()
    book = bucket_book(bucket, tmp_path)
    book.change(adding("first"))
    bucket.before_put = [
        lambda n=n: bucket.objects.update({KEY: (text_of(Book()), f'"other {n}"')})  # type: ignore[misc]
        for n in range(100)
    ]

    with pytest.raises(SpendUnknown, match="other renters were faster 40 times"):
        book.change(adding("ours"))


def test_an_object_that_was_deleted_meanwhile_begins_anew(tmp_path: Path) -> None:
    bucket = Bucket()
    book = bucket_book(bucket, tmp_path)
    book.change(adding("first"))
    bucket.before_put = [bucket.objects.clear]

    book.change(adding("ours"))

    assert set(book.read().reservations) == {"ours"}


@pytest.mark.parametrize(
    ("bucket", "is_shared"),
    [(Bucket(), True), (Bucket(obeys=False), False), (Bucket(refuses="NotImplemented"), False)],
)
def test_the_store_itself_says_whether_the_book_is_shared(bucket: Bucket, is_shared: bool, tmp_path: Path) -> None:
    book = ChosenBook(shared(bucket), "s3://bucket/budget", FakeClock(), tmp_path / "budget.json")

    assert book.is_shared() == is_shared
    book.change(adding("ours"))
    assert set(book.read().reservations) == {"ours"}
    assert (KEY in bucket.objects) == is_shared
    again = ChosenBook(shared(bucket), "s3://bucket/budget", FakeClock(), tmp_path / "budget.json")
    assert set(again.read().reservations) == {"ours"}


def test_a_store_that_does_not_answer_leaves_it_unknown(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.broken = EndpointConnectionError(endpoint_url="http://store")
    book = ChosenBook(shared(bucket), "s3://bucket/budget", FakeClock(), tmp_path / "budget.json")

    for ask in (book.is_shared, book.read, lambda: book.change(adding("ours"))):
        with pytest.raises(SpendUnknown, match="cannot be read or written, so the promises are unknown"):
            ask()


def test_a_book_of_another_shape_is_unknown_and_stays(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.objects[KEY] = (b'{"version": 2}', '"1"')

    with pytest.raises(SpendUnknown, match="does not parse"):
        bucket_book(bucket, tmp_path).change(adding("ours"))

    assert bucket.objects[KEY][0] == b'{"version": 2}'


def test_the_renters_of_one_computer_change_its_file_one_after_the_other(tmp_path: Path) -> None:
    books = [FileBook(tmp_path / "budget.json") for _each in range(8)]
    threads = [
        threading.Thread(target=lambda book=book, name=name: [book.change(adding(f"{name}-{n}")) for n in range(5)])
        for name, book in enumerate(books)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(books[0].read().reservations) == 40


def test_a_file_that_cannot_be_written_is_unknown(tmp_path: Path) -> None:
    book = FileBook(tmp_path / "missing" / "budget.json")

    with pytest.raises(SpendUnknown, match="cannot be read or written"):
        book.change(adding("ours"))

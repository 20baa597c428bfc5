"""Bring the database to this version's tables: numbered files, each once, in their order."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.store.connections import Connections
from controller.store.errors import StoreRefused
from controller.store.lock_keys import MIGRATIONS

FOLDER = Path(__file__).with_name("migrations")
NAME = re.compile(r"(\d{4})_[a-z_]+\.sql\Z")


@dataclass(frozen=True)
class Migration:
    """One file. Its text is final once a release had it, because databases remember its digest."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Return the files, ascending. Raises ValueError if their numbers are not 1, 2, 3, ..."""
    found = [
        Migration(int(match[1]), file.name, file.read_text())
        for file in sorted(folder.glob("*.sql"))
        if (match := NAME.match(file.name))
    ]
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations are numbered {[one.number for one in found]}")
    return tuple(found)


def missing(known: Sequence[Migration], applied: Sequence[tuple[int, str]]) -> tuple[Migration, ...]:
    """Return the migrations that the database lacks; pure. `applied` are (number, digest) as the database remembers them.

    Raises StoreRefused if the database is newer than this program, or had another text.
    """
    digests = {one.number: one for one in known}
    for number, digest in applied:
        if number not in digests:
            raise StoreRefused(
                f"The database has migration {number}, and this controller knows {len(known)}. A newer controller made it: "
                "start that version, or give this one another database."
            )
        if digests[number].digest != digest:
            raise StoreRefused(f"The database has another text of {digests[number].name}. Give it another database.")
    done = {number for number, _digest in applied}
    return tuple(one for one in known if one.number not in done)


def migrate(connections: Connections, known: Sequence[Migration]) -> tuple[str, ...]:
    """Apply the missing migrations in one transaction, and return their names. If two begin at once, one waits.

    Raises StoreDown or StoreRefused.
    """
    with connections.transaction() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATIONS,))
        connection.execute("create schema if not exists gpu_fleet")
        connection.execute(
            "create table if not exists gpu_fleet.migrations "
            "(number integer primary key, name text not null, digest text not null, at timestamptz default now())"
        )
        rows = connection.execute("select number, digest from gpu_fleet.migrations order by number").fetchall()
        fresh = missing(known, [(int(number), str(digest)) for number, digest in rows])
        for one in fresh:
            connection.execute(one.sql.encode())
            connection.execute(
                "insert into gpu_fleet.migrations (number, name, digest) values (%s, %s, %s)",
                (one.number, one.name, one.digest),
            )
    return tuple(one.name for one in fresh)

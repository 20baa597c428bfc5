"""A PostgreSQL for tests: one server a worker, which the first test that needs it starts, and a fresh database a test."""

import contextlib
import itertools
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg

from sandbox.services.postgres import Postgres

NUMBERS = itertools.count(1)


def admin(postgres: Postgres) -> psycopg.Connection:
    return psycopg.connect(postgres.dsn, autocommit=True)


@contextlib.contextmanager
def fresh_database(postgres: Postgres) -> Iterator[str]:
    """Make an empty database, yield its DSN, and remove it with every connection to it."""
    name = f"test_{next(NUMBERS)}"
    with admin(postgres) as connection:
        connection.execute(f"create database {name} strategy file_copy".encode())
        try:
            yield urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"drop database {name} with (force)".encode())


def cut_connections(postgres: Postgres, dsn: str) -> int:
    """End every connection to a database, as a server that fails over does; return how many there were."""
    query = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = %s"
    with admin(postgres) as connection:
        row = connection.execute(query, (urlsplit(dsn).path[1:],)).fetchone()
    return int(row[0]) if row else 0

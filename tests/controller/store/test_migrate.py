import traceback
from dataclasses import replace

import psycopg
import pytest

from controller.store import migrate
from controller.store.connections import Connections
from controller.store.errors import StoreDown, StoreRefused
from controller.store.migrate import Migration, migrations, missing
from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.at_once import at_once

ALL = migrations()


def test_two_controllers_that_start_at_once_make_the_tables_once(dsn: str) -> None:
    def start(_number: int) -> int:
        store = Store(dsn)
        applied = store.open()
        store.close()
        return len(applied)

    assert sorted(at_once(8, start)) == [0] * 7 + [len(ALL)]


def test_a_migration_that_fails_leaves_nothing(dsn: str) -> None:
    connections = Connections(dsn)
    connections.open()
    broken = Migration(len(ALL) + 1, "broken.sql", "create table gpu_fleet.half (); select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.migrate(connections, (*ALL, broken))
    assert migrate.migrate(connections, ALL) == tuple(one.name for one in ALL)
    with connections.transaction() as connection:
        assert connection.execute("select to_regclass('gpu_fleet.half')").fetchone() == (None,)
    connections.close()


def test_a_newer_or_an_edited_database_is_refused() -> None:
    applied = [(one.number, one.digest) for one in ALL]
    assert missing(ALL, applied) == ()
    assert missing(ALL, []) == ALL
    with pytest.raises(StoreRefused, match="newer"):
        missing(ALL, [*applied, (len(ALL) + 1, "x")])
    with pytest.raises(StoreRefused, match="another text"):
        missing((replace(ALL[0], sql="select 1"), *ALL[1:]), applied)


def test_files_are_numbered_without_a_gap(tmp_path) -> None:
    (tmp_path / "0001_a.sql").write_text("select 1")
    (tmp_path / "0003_b.sql").write_text("select 1")
    with pytest.raises(ValueError, match=r"\[1, 3\]"):
        migrations(tmp_path)


def test_a_database_of_another_stack_is_refused(dsn: str) -> None:
    first = Store(dsn)
    first.open("fleet/dev/abc")
    first.open("fleet/dev/abc")
    first.close()
    other = Store(dsn)
    with pytest.raises(StoreRefused, match=r"of fleet/dev/abc, and this one is of fleet/prod/def"):
        other.open("fleet/prod/def")
    other.close()


@pytest.mark.parametrize(
    "dsn", ["postgresql://me:hunter2%zz@127.0.0.1/x", "host=127.0.0.1 password='hunter2", "hunter2", "x=hunter2"]
)
def test_a_dsn_that_is_none_is_refused_without_its_password(dsn: str, caplog) -> None:
    store = Store(dsn)
    with pytest.raises(StoreRefused, match="DSN cannot be read") as refused:
        store.open()
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))
    store.close()
    assert "hunter2" not in caplog.text


def test_a_password_that_the_server_refuses_is_in_no_log(postgres: Postgres, caplog) -> None:
    caplog.set_level(0)
    store = Store(f"{postgres.dsn}&user=nobody&password=hunter2")
    with pytest.raises(StoreDown) as down:
        store.open()
    store.close()
    assert "hunter2" not in caplog.text + "".join(traceback.format_exception(down.value))

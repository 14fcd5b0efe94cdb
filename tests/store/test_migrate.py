"""Migrations: complete, refused when they do not fit, undone when they fail, backed up before."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.errors import AuditUnwritable, SchemaMismatch, StoreBusy
from livespot.store.backup import backup_database, integrity_problems
from livespot.store.migrate import migrate, status
from livespot.store.schema import Migration, packaged_migrations, split_statements
from livespot.testing.ledger_rows import NOW_MS, fresh

TABLES = {
    "schema_migrations", "runs", "audit_events", "universe_scans", "cycle_rankings",
    "cycle_selections", "symbol_health", "snapshots", "decisions", "ai_gate_events",
    "risk_verdicts", "order_intents", "intent_client_ids", "intent_transitions", "orders",
    "order_lists", "fills", "positions", "reserves", "candles", "health_samples",
    "reconcile_reports", "alerts", "operator_commands", "daily_summaries", "manual_exposures",
    "experiments", "experiment_results",
}  # fmt: skip

ONE = Migration(number=1, name="one", sql="CREATE TABLE a (x INTEGER) STRICT;\n")
TWO = Migration(number=2, name="two", sql="ALTER TABLE a ADD COLUMN y TEXT;\n")


def apply(path: Path, *migrations: Migration) -> None:
    migrate(path, backup_dir=path.parent / "backups", now_ms=NOW_MS, migrations=migrations)


def test_a_new_database_has_every_table_and_all_are_strict(tmp_path: Path) -> None:
    path = fresh(tmp_path)

    with closing(sqlite3.connect(path)) as connection:
        tables = {
            name: strict
            for _, name, kind, _, _, strict in connection.execute("PRAGMA table_list")
            if kind == "table" and not name.startswith("sqlite_")
        }

    assert set(tables) >= TABLES
    assert set(tables.values()) == {1}
    assert status(path).current
    assert path.stat().st_mode & 0o077 == 0


def test_a_new_database_is_what_the_migrations_one_by_one_make_of_an_empty_one(
    tmp_path: Path,
) -> None:
    new, stepped = fresh(tmp_path), tmp_path / "stepped.sqlite"
    apply(stepped, *packaged_migrations())

    with closing(sqlite3.connect(new)) as one, closing(sqlite3.connect(stepped)) as other:
        assert list(one.iterdump()) == list(other.iterdump())
        for name in ("user_version", "journal_mode", "page_size", "auto_vacuum"):
            assert one.execute(f"PRAGMA {name}").fetchall() == (
                other.execute(f"PRAGMA {name}").fetchall()
            )
        assert one.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    path = fresh(tmp_path)

    again = migrate(path, backup_dir=tmp_path / "backups", now_ms=NOW_MS)

    assert again.applied == ()
    assert again.backup is None


def test_an_upgrade_backs_up_first_and_the_backup_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)

    report = migrate(path, backup_dir=tmp_path / "b", now_ms=NOW_MS, migrations=(ONE, TWO))

    assert report.applied == ("0002_two",)
    assert report.backup is not None
    assert integrity_problems(report.backup) == ()
    assert status(report.backup, (ONE, TWO)).version == 1
    assert status(path, (ONE, TWO)).version == 2


def test_an_edited_migration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)
    edited = Migration(number=1, name="one", sql=ONE.sql + "-- later thought\n")

    with pytest.raises(SchemaMismatch, match=r"other content.*put a backup in its place"):
        apply(path, edited, TWO)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE, TWO)

    with pytest.raises(SchemaMismatch, match="knows only 1"):
        apply(path, ONE)


def test_a_database_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")

    with pytest.raises(SchemaMismatch, match="user_version is 7"):
        status(path, (ONE,))


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")

    with pytest.raises(SchemaMismatch, match="not a livespot database"):
        apply(path, ONE)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"certainly not a database file" * 100)

    with pytest.raises(SchemaMismatch, match="is not a database"):
        apply(path, ONE)


def test_a_locked_database_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)
    monkeypatch.setattr("livespot.store.migrate._BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy, match="livespot stop"):
            apply(path, ONE, TWO)

    assert status(path, (ONE, TWO)).version == 1


def test_a_migration_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)
    broken = Migration(
        number=2,
        name="two",
        sql="CREATE TABLE b (x TEXT) STRICT;\nALTER TABLE nowhere ADD y TEXT;\n",
    )

    with pytest.raises(SchemaMismatch, match="nothing was changed"):
        apply(path, ONE, broken)

    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "b" not in names
    apply(path, ONE, TWO)
    assert status(path, (ONE, TWO)).current


def test_a_migration_that_would_break_a_reference_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    apply(path, ONE)
    orphan = Migration(
        number=2,
        name="two",
        sql="CREATE TABLE p (k TEXT PRIMARY KEY) STRICT;\n"
        "CREATE TABLE c (k TEXT REFERENCES p (k) DEFERRABLE INITIALLY DEFERRED) STRICT;\n"
        "INSERT INTO c VALUES ('x');\n",
    )

    with pytest.raises(SchemaMismatch, match="refers to nothing"):
        apply(path, ONE, orphan)

    assert status(path, (ONE, TWO)).version == 1


def test_statements_are_cut_at_their_own_ends() -> None:
    sql = (
        "-- a comment; with a semicolon\n"
        "CREATE TABLE t (x TEXT DEFAULT 'a;b');\n\n"
        "CREATE TRIGGER g BEFORE UPDATE ON t\nBEGIN SELECT RAISE(ABORT, 'no; never'); END;\n"
    )

    statements = list(split_statements(Migration(number=1, name="x", sql=sql)))

    assert [statement.split()[1] for statement in statements] == ["TABLE", "TRIGGER"]


def test_an_unterminated_migration_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="inside a statement"):
        list(split_statements(Migration(number=1, name="x", sql="CREATE TABLE t (x TEXT)")))


def test_packaged_migrations_are_numbered_from_one() -> None:
    numbers = [migration.number for migration in packaged_migrations()]

    assert numbers == list(range(1, len(numbers) + 1))


def test_a_backup_of_a_damaged_database_does_not_take_its_name(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    image = bytearray(path.read_bytes())
    image[4096 * 3 : 4096 * 3 + 2048] = b"\xff" * 2048
    path.write_bytes(image)

    with pytest.raises(AuditUnwritable):
        backup_database(path, tmp_path / "copy.sqlite")

    assert list(tmp_path.glob("copy*")) == []

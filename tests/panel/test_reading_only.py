"""The panel can only read, never for long, and knows nothing that could trade."""

import ast
from pathlib import Path

import pytest

import livespot.panel
from livespot.panel.database import PanelUnreadable, opened
from livespot.testing import ledger_rows as rows
from livespot.testing.served_panel import SpreadClock

_ENDLESS = """
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted)
SELECT count(*) FROM counted
"""
# Whoever holds one of these could reach the exchange, sign, or change what is traded.
_BARRED = (
    "livespot.venue",
    "livespot.actors",
    "livespot.gate",
    "livespot.store",
    "livespot.runtime",
    "livespot.exchange",
    "livespot.evidence",
    "livespot.contracts.secret",
    "livespot.contracts.venue",
    "livespot.contracts.transport",
    "httpx",
    "websockets",
    "subprocess",
)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO operator_commands VALUES ('n', 'r', 'RESUME', '', '', 1)",
        "UPDATE positions SET phase = 'FLAT'",
        "CREATE TABLE mine (x)",
        "PRAGMA user_version = 3",
    ],
)
async def test_no_statement_can_write(tmp_path: Path, sql: str) -> None:
    async with opened(rows.fresh(tmp_path)) as database:
        with pytest.raises(PanelUnreadable, match="readonly"):
            async with database.transaction():
                await database.rows(sql)


async def test_a_read_that_lasts_two_seconds_is_cut_and_the_next_one_works(tmp_path: Path) -> None:
    async with opened(rows.fresh(tmp_path), SpreadClock()) as database:
        with pytest.raises(PanelUnreadable, match="interrupted"):
            async with database.transaction():
                await database.rows(_ENDLESS)

        async with database.transaction():
            assert await database.rows("SELECT 1") == [(1,)]


def test_nothing_is_imported_that_could_trade() -> None:
    folder = Path(livespot.panel.__file__).parent
    imported = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _names(node)
    }

    assert [name for name in sorted(imported) if name.startswith(_BARRED)] == []


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []

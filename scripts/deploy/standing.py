"""Prints how far the database of a state directory is: its schema number, or its count of runs.

Reads with nothing but the standard library, because either version must understand the answer.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

_QUESTIONS = {
    "schema": "SELECT max(number) FROM schema_migrations",
    "runs": "SELECT count(*) FROM runs",
}

database = Path(sys.argv[1]) / "data" / "audit.sqlite"
with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
    sys.stdout.write(f"{connection.execute(_QUESTIONS[sys.argv[2]]).fetchone()[0]}\n")

"""The published schemas are those of the code."""

from pathlib import Path

from livespot.contracts.schemas import published_schemas

_FOLDER = Path(__file__).resolve().parents[2] / "prompts" / "schemas"


def test_the_files_equal_what_the_types_say() -> None:
    for name, text in published_schemas().items():
        assert (_FOLDER / name).read_text(encoding="utf-8") == text, f"run scripts/schemas: {name}"

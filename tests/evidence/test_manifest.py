"""Which commit a run's manifest names, read from the checkout without git."""

from pathlib import Path

from livespot.evidence.manifest import git_commit

COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def _repository(checkout: Path, head: str) -> Path:
    repository = checkout / ".git"
    repository.mkdir()
    (repository / "HEAD").write_text(f"{head}\n", encoding="utf-8")
    return repository


def test_a_commit_that_stands_in_head_is_named(tmp_path: Path) -> None:
    _repository(tmp_path, COMMIT)

    assert git_commit(tmp_path) == COMMIT


def test_the_commit_of_a_branch_is_found_loose_and_packed(tmp_path: Path) -> None:
    repository = _repository(tmp_path, "ref: refs/heads/main")
    (repository / "packed-refs").write_text(f"{COMMIT} refs/heads/main\n", encoding="utf-8")

    assert git_commit(tmp_path) == COMMIT

    branch = repository / "refs" / "heads" / "main"
    branch.parent.mkdir(parents=True)
    branch.write_text(f"{COMMIT[::-1]}\n", encoding="utf-8")

    assert git_commit(tmp_path) == COMMIT[::-1]


def test_without_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None


def test_a_repository_that_cannot_be_read_gives_no_commit_and_no_error(tmp_path: Path) -> None:
    _repository(tmp_path, f"ref: refs/heads/{'x' * 5000}")

    assert git_commit(tmp_path) is None

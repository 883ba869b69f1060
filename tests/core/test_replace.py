"""`replace` gives a file its content in one piece, or leaves it as it was; `remedy` says what to do then."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.files import remedy, replace

LIMIT = 4096


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow over `LIMIT` bytes, as on a disk that becomes full."""
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_file_that_exists_keeps_its_mode_and_a_new_one_has_that_of_the_umask(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    old.chmod(0o640)
    mask = os.umask(0o027)
    try:
        replace(old, b"after")
        replace(new, b"after")
    finally:
        os.umask(mask)
    assert (old.read_bytes(), old.stat().st_mode & 0o777) == (b"after", 0o640)
    assert (new.read_bytes(), new.stat().st_mode & 0o777) == (b"after", 0o640)


def test_where_it_cannot_be_written_the_old_content_stays_and_no_draft_is_left(
    tmp_path: Path, small_files: None
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="File too large") as raised:
        replace(path, bytes(2 * LIMIT))
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_the_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "metrics.jsonl"
    with pytest.raises(FileNotFoundError) as raised:
        replace(path, b"")
    assert raised.value.filename == str(path)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (errno.EPERM, "permission"),
        (errno.EROFS, "writable"),
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "limit on file sizes"),
        (errno.ENOENT, "correct that"),
    ],
)
def test_what_to_do_follows_from_the_systems_error_also_where_a_library_quotes_it(code: int, what: str) -> None:
    assert what in remedy(OSError(code, os.strerror(code)))
    assert what in remedy(RuntimeError(f"I/O error: {os.strerror(code)} (os error {code})"))

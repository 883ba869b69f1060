"""No path below a folder leads out of it, whatever another process does meanwhile."""

import ctypes
import threading
from pathlib import Path

import pytest

from engine.core.beneath import Beneath, LinkInTheWay


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def test_files_are_written_renamed_read_and_removed(root: Path) -> None:
    with Beneath(root) as folder:
        folder.write("a/b/x.tmp", b"12345", executable=True)
        folder.rename("a/b/x.tmp", "a/b/x")
        assert folder.read("a/b/x", 3) == b"1234"
        assert folder.names("a/b") == ["x"]
        assert folder.lstat("a/b/x").st_mode & 0o100
        folder.unlink("a/b/x")
        folder.unlink("a/b/x", missing_ok=True)
        folder.rmdir("a/b")
        assert folder.exists("a")
        assert not folder.exists("a/b")


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "/etc/passwd", "a/../../x", "a//b"])
def test_a_path_that_is_not_below_is_refused(root: Path, path: str) -> None:
    with Beneath(root) as folder, pytest.raises(OSError, match="it is not"):
        folder.write(path, b"")


def test_no_link_is_followed(root: Path) -> None:
    (root / "out").symlink_to(root.parent / "outside")
    (root / "file").symlink_to(root.parent / "outside" / "secret")
    (root.parent / "outside" / "secret").write_text("x")
    with Beneath(root) as folder:
        with pytest.raises(LinkInTheWay):
            folder.write("out/x", b"")
        with pytest.raises(LinkInTheWay):
            folder.read("out/secret", 9)
        with pytest.raises(LinkInTheWay):
            folder.read("file", 9)
        with pytest.raises(LinkInTheWay):
            folder.mkdir("out/deeper")
        assert not folder.exists("out/secret")
        assert folder.exists("out")
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]


def test_a_racing_process_that_swaps_links_in_gets_no_byte_outside(root: Path) -> None:
    """A thread exchanges the folder "a" with a link that leads outside (renameat2 with RENAME_EXCHANGE)."""
    outside, done, libc = root.parent / "outside", threading.Event(), ctypes.CDLL(None)
    (root / "a").mkdir()
    (root / "link").symlink_to(outside)

    def swap() -> None:
        while not done.is_set():
            libc.renameat2(-100, bytes(root / "a"), -100, bytes(root / "link"), 2)

    thread = threading.Thread(target=swap)
    thread.start()
    written = refused = 0
    try:
        for number in range(2_000):
            try:
                with Beneath(root) as folder:
                    folder.write(f"a/{number}", b"x")
                written += 1
            except LinkInTheWay:
                refused += 1
    finally:
        done.set()
        thread.join()
    assert written
    assert refused
    assert list(outside.iterdir()) == []

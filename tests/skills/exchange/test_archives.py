"""Archives: harmless spellings are read, whatever leads out is named with the true reason, and all work is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.core import archives
from engine.skills import Skill
from engine.skills.exchange import Bundle, ExchangeError, read_archive, read_source
from engine.skills.exchange.candidates import candidates

MUGS = Skill.make("mugs", "Use when a mug is wanted.", "Mugs are in the safe.\n").text
CUPS = MUGS.replace("mugs", "cups", 1)
PLAIN = {"mugs/SKILL.md": MUGS, "mugs/scripts/look.sh": "ls\n", "README.md": "# Skills"}


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tarred(files: dict[str, str], *others: tarfile.TarInfo) -> bytes:
    """An uncompressed tar of `files`, then of `others`, which have no content."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        for info in others:
            archive.addfile(info)
    return whole.getvalue()


def zipped(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # `ZipInfo(name)` would normalize it
            archive.writestr(info, text)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return whole.getvalue()


def read(tmp_path: Path, data: bytes, name: str = "archive") -> Bundle:
    (tmp_path / name).write_bytes(data)
    bundle = read_source(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name], "something was unpacked to the disk"
    return bundle


def names(bundle: Bundle) -> list[str]:
    return [package.name for package in bundle.packages]


def why(bundle: Bundle) -> dict[str, str]:
    return {skipped.place: skipped.why for skipped in bundle.skipped}


# Kinds


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.tar", bytes),
        ("a.tar.gz", gzip.compress),
        ("a.tgz", gzip.compress),
        ("a.tar.bz2", bz2.compress),
        ("a.tar.xz", lzma.compress),
        ("wrong-extension.zip", gzip.compress),
        ("no-extension", lzma.compress),
    ],
)
def test_a_tar_is_read_whatever_compresses_it_and_whatever_it_is_called(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    bundle = read(tmp_path, pack(tarred(PLAIN)), name)
    assert [(package.name, sorted(package.files)) for package in bundle.packages] == [
        ("mugs", ["SKILL.md", "scripts/look.sh"])
    ]
    assert bundle.packages[0].files["SKILL.md"].data == MUGS.encode()
    assert bundle.skipped == ()


def test_a_skill_file_is_a_zip_also_without_that_extension(tmp_path: Path) -> None:
    for name in ("mugs.skill", "mugs.tar.gz"):
        (tmp_path / "one").mkdir(exist_ok=True)
        assert names(read(tmp_path / "one", zipped(PLAIN), name)) == ["mugs"]
        (tmp_path / "one" / name).unlink()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 100, "is a 7z archive"),
        (b"Rar!\x1a\x07\x00" + b"\0" * 100, "is a rar archive"),
        (b"\x28\xb5\x2f\xfd" + b"\0" * 100, "is compressed with zstd"),
        (gzip.compress(b"only one file"), "is a compressed file and no archive"),
        (zipped(PLAIN)[:-30], "is cut off or damaged"),
        (b"# Some text\n", "is neither a folder nor an archive"),
        (gzip.compress(tarred(PLAIN))[:-20], "is cut off: it ends before its content does"),
        (tarred(PLAIN)[:1_200], "is cut off"),
        (tarred(PLAIN)[:1_024] + b"x" * 512 + tarred(PLAIN)[1_536:], "is damaged at byte 1,024"),
        (gzip.compress(tarred(PLAIN))[:60] + b"\0" * 9 + gzip.compress(tarred(PLAIN))[69:], "is damaged"),
    ],
)
def test_an_archive_that_cannot_be_read_is_one_sentence_with_the_true_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(ExchangeError, match=reason) as error:
        read(tmp_path, data)
    assert str(tmp_path / "archive") in str(error.value) and "\n" not in str(error.value)


def test_a_tar_without_an_end_mark_is_read_and_that_is_said(tmp_path: Path) -> None:
    bundle = read(tmp_path, tarred({"mugs/SKILL.md": MUGS})[:1_024])
    assert names(bundle) == ["mugs"]
    assert "no end mark" in bundle.skipped[0].why


# Paths


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
@pytest.mark.parametrize("name", ["mugs\\{}", "./mugs/{}", ".\\mugs\\{}", "mugs//{}", "mugs/./{}", "x/../mugs/{}"])
def test_a_harmless_spelling_of_a_path_is_read(
    tmp_path: Path, name: str, pack: Callable[[dict[str, str]], bytes]
) -> None:
    bundle = read(tmp_path, pack({name.format("SKILL.md"): MUGS, name.format("a.txt"): "a"}))
    assert [(package.name, sorted(package.files)) for package in bundle.packages] == [("mugs", ["SKILL.md", "a.txt"])]
    assert bundle.skipped == ()


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../mugs/SKILL.md", "its path leads out of the archive"),
        ("..\\mugs\\SKILL.md", "its path leads out of the archive"),
        ("./..\\mugs/SKILL.md", "its path leads out of the archive"),
        ("mugs/../../SKILL.md", "its path leads out of the archive"),
        ("/mugs/SKILL.md", "its path is absolute"),
        ("\\\\host\\mugs\\SKILL.md", "its path is absolute"),
        ("C:\\mugs\\SKILL.md", "its path names a drive"),
        ("C:mugs/SKILL.md", "its path names a drive"),
        ("mugs./SKILL.md", "ends with a dot or a blank"),
        ("mugs /SKILL.md", "ends with a dot or a blank"),
        ("aux/SKILL.md", "a device on Windows"),
        ("mugs/NUL.txt", "a device on Windows"),
        ("mugs/SKILL.md:evil", "a colon"),
    ],
)
def test_a_path_that_leads_out_is_named_with_the_true_reason(
    tmp_path: Path, name: str, reason: str, pack: Callable[[dict[str, str]], bytes]
) -> None:
    bundle = read(tmp_path, pack({name: MUGS, "cups/SKILL.md": CUPS}))
    assert names(bundle) == ["cups"]
    assert [(place, reason in said) for place, said in why(bundle).items()] == [(name, True)]


def test_two_spellings_of_one_path_are_ambiguous(tmp_path: Path) -> None:
    bundle = read(tmp_path, zipped({"mugs/SKILL.md": MUGS, "mugs\\SKILL.md": MUGS, "./cups/SKILL.md": CUPS}))
    assert names(bundle) == ["cups"]
    assert "twice" in why(bundle)["mugs/SKILL.md"]


def test_a_name_in_utf8_that_does_not_say_so_is_read(tmp_path: Path) -> None:
    data = zipped({"café/SKILL.md": MUGS.replace("mugs", "café", 1)})
    flag = data.index(b"PK\x03\x04") + 7, data.index(b"PK\x01\x02") + 9
    bare = bytearray(data)
    for at in flag:
        bare[at] &= ~0x08
    assert names(read(tmp_path, bytes(bare))) == ["café"]


# Links


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    files = {"shared/look.sh": "ls\n", "skills/mugs/SKILL.md": MUGS, "skills/mugs/refs/a.md": "a"}
    bundle = read(
        tmp_path,
        tarred(
            files,
            special("skills/mugs/look.sh", tarfile.SYMTYPE, "../../shared/look.sh"),
            special("skills/mugs/hard.sh", tarfile.LNKTYPE, "./shared/look.sh"),
            special("skills/mugs/shared", tarfile.SYMTYPE, "../../shared"),
        ),
    )
    [mugs] = bundle.packages
    assert {path: file.data for path, file in mugs.files.items() if path != "SKILL.md"} == {
        "look.sh": b"ls\n",
        "hard.sh": b"ls\n",
        "shared/look.sh": b"ls\n",
        "refs/a.md": b"a",
    }
    assert bundle.skipped == ()


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "..\\..\\..\\x"])
@pytest.mark.parametrize("kind", ["zip", "tar", "hard"])
def test_a_link_that_leads_out_is_named(tmp_path: Path, target: str, kind: str) -> None:
    if kind == "zip":
        data = zipped({"mugs/SKILL.md": MUGS}, {"mugs/link": target})
    else:
        data = tarred(
            {"mugs/SKILL.md": MUGS},
            special("mugs/link", tarfile.SYMTYPE if kind == "tar" else tarfile.LNKTYPE, target),
        )
    bundle = read(tmp_path, data)
    assert [sorted(package.files) for package in bundle.packages] == [["SKILL.md"]]
    assert "a link that leads out" in why(bundle)["mugs/link"]


def test_a_cycle_of_links_and_a_link_to_nothing_are_named(tmp_path: Path) -> None:
    bundle = read(
        tmp_path,
        tarred(
            {"mugs/SKILL.md": MUGS},
            special("mugs/one", tarfile.SYMTYPE, "two"),
            special("mugs/two", tarfile.SYMTYPE, "one"),
            special("mugs/up", tarfile.SYMTYPE, ".."),
            special("mugs/gone", tarfile.SYMTYPE, "nothing"),
        ),
    )
    assert names(bundle) == ["mugs"]
    assert {place: said for place, said in why(bundle).items() if "cycle" in said}.keys() == {
        "mugs/one",
        "mugs/two",
        "mugs/up",
    }
    assert "nothing" in why(bundle)["mugs/gone"]


def test_a_skill_that_a_link_shows_again_counts_once(tmp_path: Path) -> None:
    data = tarred({"skills/mugs/SKILL.md": MUGS}, special(".claude", tarfile.SYMTYPE, "skills"))
    [mugs] = candidates(read(tmp_path, data), tmp_path / "new")
    assert (mugs.place, mugs.copies, mugs.twins) == ("skills/mugs/SKILL.md", (".claude/mugs/SKILL.md",), ())


# What is no regular file


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(tarfile.CHRTYPE, "a device"), (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a pipe")],
)
def test_devices_and_pipes_are_named_as_what_they_are(tmp_path: Path, kind: bytes, reason: str) -> None:
    bundle = read(tmp_path, tarred({"mugs/SKILL.md": MUGS}, special("mugs/odd", kind)))
    assert names(bundle) == ["mugs"]
    assert why(bundle) == {"mugs/odd": f"it is {reason}"}


def test_an_encrypted_file_is_named_as_encrypted(tmp_path: Path) -> None:
    data = bytearray(zipped({"mugs/SKILL.md": MUGS, "cups/SKILL.md": CUPS}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    bundle = read(tmp_path, bytes(data))
    assert (names(bundle), why(bundle)) == (["cups"], {"mugs/SKILL.md": "it is encrypted"})


def test_an_archive_in_an_archive_is_named_and_one_in_a_skill_is_its_file(tmp_path: Path) -> None:
    inner = zipped({"cups/SKILL.md": CUPS})
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("cups.skill", inner)
        archive.writestr("mugs/SKILL.md", MUGS)
        archive.writestr("mugs/data.zip", inner)
    bundle = read(tmp_path, whole.getvalue())
    assert [(package.name, sorted(package.files)) for package in bundle.packages] == [
        ("mugs", ["SKILL.md", "data.zip"])
    ]
    assert why(bundle) == {"cups.skill": "it is an archive inside the archive; take it out, and import it by itself"}


# Bounds


def test_a_compressed_tar_is_refused_once_it_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)
    with pytest.raises(ExchangeError, match="unpacks to more than 1,000,000 bytes"):
        read(tmp_path, bomb)


def test_a_tar_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(ExchangeError, match="holds more than 3 files"):
        read(tmp_path, tarred({str(number): "x" for number in range(5)}))


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\xff" * 10 + b"\xfe\x00"], ids=["-1", "-512, which leads back"])
def test_a_tar_whose_file_claims_a_negative_size_is_damaged_and_not_read_in_a_loop(tmp_path: Path, size: bytes) -> None:
    data = bytearray(tarred({"mugs/SKILL.md": MUGS, "cups/SKILL.md": CUPS}))
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(ExchangeError, match=r"is damaged"):
        read(tmp_path, bytes(data))


def test_links_to_folders_of_links_do_not_multiply(tmp_path: Path) -> None:
    links = [special(f"{level}/{n}", tarfile.SYMTYPE, f"../{level + 1}") for level in range(20) for n in range(10)]
    bundle = read(tmp_path, tarred({"20/mugs/SKILL.md": MUGS}, *links))
    assert set(names(bundle)) == {"mugs"} and len(bundle.packages) <= 20


def test_reading_a_zip_again_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(PLAIN))
    assert read_archive(tmp_path / "a.zip") == read_source(tmp_path / "a.zip")


def test_a_file_that_is_too_large_for_an_archive_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "archive").open("wb") as file:
        file.write(zipped(PLAIN))
        file.truncate(256 * 1024**2 + 1)  # it takes no space on the disk
    with pytest.raises(ExchangeError, match="268,435,456 are allowed; unpack it and name the folder"):
        read_source(tmp_path / "archive")

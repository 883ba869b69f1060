"""Export skills as valid Agent Skills, to a new folder or a zip.

    report = export_skills(read_repo(root), Path("skills.zip"))
    [(done.name, done.repairs) for done in report.exported], [(left.place, left.why) for left in report.skipped]

A valid skill is written byte for byte, a flat one as a folder. An invalid one is repaired where no information is lost
(`normalize`), else skipped. The target is published complete or not at all. The same skills give the same zip.
"""

from __future__ import annotations

import errno
import io
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.core.beneath import Beneath
from engine.core.errors import SkillosError
from engine.skills.exchange.bundle import Bundle, ExchangeError, File, Package, Skipped
from engine.skills.exchange.normalize import normalize
from engine.skills.format.names import same_on_some_disks
from engine.skills.repo.layout import SKILL_FILE

_DRAFT = ".skillos-export-"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Exported(msgspec.Struct, frozen=True):
    """One skill that was written, with the repairs that made its file valid."""

    name: str
    place: str
    files: int
    bytes: int
    repairs: tuple[str, ...]


class ExportReport(msgspec.Struct, frozen=True):
    """What an export wrote to `target`, and what it skipped."""

    target: str
    exported: tuple[Exported, ...]
    skipped: tuple[Skipped, ...]


def export_skills(bundle: Bundle, target: Path) -> ExportReport:
    """Write the skills of `bundle` to `target`: a zip if its name ends with `.zip`, else a new or empty folder.

    A bundle without a skill that can be exported writes nothing. Raises `ExchangeError` where `target` exists or cannot be
    written; then nothing is left there.
    """
    exported: list[Exported] = []
    skipped = list(bundle.skipped)
    files: dict[str, File] = {}
    places: dict[str, str] = {}
    for package in bundle.packages:
        first = places.setdefault(same_on_some_disks(package.name), package.place)
        if first != package.place:
            skipped.append(Skipped(package.place, f"{first} has the same name, {package.name!r}"))
            continue
        result = normalize(package.skill, package.name)
        if result.text is None:
            skipped.append(Skipped(package.place, f"it cannot be made valid: {result.why}"))
            continue
        contents = _contents(package, result.text)
        files.update({f"{package.name}/{path}": file for path, file in contents.items()})
        size = sum(len(file.data) for file in contents.values())
        exported.append(Exported(package.name, package.place, len(contents), size, result.repairs))
    if exported:
        _write(target, files)
    return ExportReport(str(target), tuple(exported), tuple(skipped))


def _contents(package: Package, text: str) -> dict[str, File]:
    """The files of a skill's folder, with SKILL.md first."""
    own = File(text.encode("utf-8"), package.files[package.path].executable)
    others = {path: file for path, file in package.files.items() if path != package.path}
    return {SKILL_FILE: own, **others}


def _write(target: Path, files: dict[str, File]) -> None:
    """Publish `target` with these files in it. No link is followed below the folder of `target`."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Beneath(target.parent) as folder:
            _publish(folder, target.name, files)
    except _NotSynced as error:
        raise ExchangeError(f"{target} is written, but the disk did not confirm it: {error}; look at it") from error
    except OSError as error:
        taken = error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
        why = "it exists already" if taken else error.strerror or str(error)
        advice = "name a path that is free" if taken else "name a path that you may write to, with enough space"
        raise ExchangeError(f"cannot export to {target}: {why}; {advice}") from error


class _NotSynced(SkillosError):
    """The target has its name, and whether it would survive a power failure is not known."""


def _publish(folder: Beneath, name: str, files: dict[str, File]) -> None:
    """Write a draft beside the target, and give it the target's name, which no file and no filled folder may have.

    Raises `OSError`; then the draft is gone, or a name that begins with `.skillos-export-` is left, which the error names.
    """
    draft = f"{_DRAFT}{secrets.token_hex(8)}"
    try:
        if name.lower().endswith(".zip"):
            folder.write(draft, _zipped(files))
            folder.link(draft, name)
        else:
            folder.mkdir(draft)
            for path, file in files.items():
                folder.write(f"{draft}/{path}", file.data, executable=file.executable)
            for path in sorted({above for file in files for above in _above(f"{draft}/{file}")}, reverse=True):
                folder.sync(path)
            folder.rename(draft, name)
    except OSError as error:
        _remove(folder, draft, error)
        raise
    try:
        folder.unlink(draft, missing_ok=True)
        folder.sync()
    except OSError as error:
        raise _NotSynced(error.strerror or str(error)) from error


def _above(path: str) -> Iterator[str]:
    """The folders above a file, innermost first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _remove(folder: Beneath, draft: str, error: OSError) -> None:
    """Remove what was written before `error`. Where that fails too, the error says what is left."""
    try:
        if folder.exists(draft):
            folder.rmtree(draft)
    except OSError:
        left = f"{folder.root / draft} is left and can be removed"
        error.strerror = f"{error.strerror or error} ({left})"


def _zipped(files: dict[str, File]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (0o100755 if file.executable else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.data)
    return whole.getvalue()

"""Export: skills become valid Agent Skills folders, in a new folder or a zip, or are reported as what cannot be.

    report = export_skills(read_repo(root), Path("skills.zip"))
    [(done.name, done.mended) for done in report.exported], [(left.place, left.why) for left in report.skipped]

A skill that is valid is written byte for byte, a flat one as a folder; one that breaks the format is mended where that
loses nothing (`conform`). The target appears complete or not at all, and the same skills make the same zip.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import zipfile
from pathlib import Path

import msgspec

from engine.core.files import publish
from engine.skills.exchange.bundle import Bundle, ExchangeError, File, Package, Skipped
from engine.skills.exchange.normalize import conform
from engine.skills.repo.layout import SKILL_FILE

_EPOCH = (1980, 1, 1, 0, 0, 0)


class Exported(msgspec.Struct, frozen=True):
    """One skill that was written, and what was mended in its file for it to be valid."""

    name: str
    place: str
    files: int
    bytes: int
    mended: tuple[str, ...]


class ExportReport(msgspec.Struct, frozen=True):
    """What an export wrote to `target`, and what it left out."""

    target: str
    exported: tuple[Exported, ...]
    skipped: tuple[Skipped, ...]


def export_skills(bundle: Bundle, target: Path) -> ExportReport:
    """Write the skills of `bundle` to `target`: a zip if it is called `.zip`, else a new or empty folder.

    Raises `ExchangeError` where something stands there, or where it cannot be written; nothing is left there then.
    """
    exported: list[Exported] = []
    skipped = list(bundle.skipped)
    files: dict[str, File] = {}
    for package in bundle.packages:
        made = conform(package.skill, package.name)
        if made.text is None:
            skipped.append(Skipped(package.place, f"it cannot be made valid: {made.why}"))
            continue
        contents = _contents(package, made.text)
        files.update({f"{package.name}/{path}": file for path, file in contents.items()})
        size = sum(len(file.data) for file in contents.values())
        exported.append(Exported(package.name, package.place, len(contents), size, made.mended))
    _write(target, files)
    return ExportReport(str(target), tuple(exported), tuple(skipped))


def _contents(package: Package, text: str) -> dict[str, File]:
    """The files of a skill's folder, its own file first and called as the format says."""
    own = File(text.encode("utf-8"), package.files[package.path].executable)
    others = {path: file for path, file in package.files.items() if path != package.path}
    return {SKILL_FILE: own, **others}


def _write(target: Path, files: dict[str, File]) -> None:
    """Let `target` appear with these files in it."""
    fill = _fill_zip if target.suffix.lower() == ".zip" else _fill_folder
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".skillos-export-", dir=target.parent))
        try:
            fill(beside / "made", files)
            publish(beside / "made", target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        taken = error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
        why = "something stands there already" if taken else error.strerror or str(error)
        advice = "name a place that is free" if taken else "name a place that you may write to, with room enough"
        raise ExchangeError(f"cannot export to {target}: {why}; {advice}") from error


def _fill_folder(folder: Path, files: dict[str, File]) -> None:
    folder.mkdir()
    for path, file in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.data)
        if file.executable:
            place.chmod(place.stat().st_mode | 0o111)


def _fill_zip(path: Path, files: dict[str, File]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (0o100755 if file.executable else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.data)

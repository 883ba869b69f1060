"""Export skills as valid Agent Skills, to a new folder or a zip.

    report = export_skills(read_repo(root), Path("skills.zip"))
    [(done.name, done.repairs) for done in report.exported], [(left.place, left.why) for left in report.skipped]

A valid skill is written byte for byte, a flat one as a folder. An invalid one is repaired where no information is lost
(`normalize`), else skipped. The target is published complete or not at all. The same skills give the same zip.
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
from engine.skills.exchange.normalize import normalize
from engine.skills.repo.layout import SKILL_FILE

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

    Raises `ExchangeError` where `target` exists or cannot be written; then nothing is left there.
    """
    exported: list[Exported] = []
    skipped = list(bundle.skipped)
    files: dict[str, File] = {}
    for package in bundle.packages:
        result = normalize(package.skill, package.name)
        if result.text is None:
            skipped.append(Skipped(package.place, f"it cannot be made valid: {result.why}"))
            continue
        contents = _contents(package, result.text)
        files.update({f"{package.name}/{path}": file for path, file in contents.items()})
        size = sum(len(file.data) for file in contents.values())
        exported.append(Exported(package.name, package.place, len(contents), size, result.repairs))
    _write(target, files)
    return ExportReport(str(target), tuple(exported), tuple(skipped))


def _contents(package: Package, text: str) -> dict[str, File]:
    """The files of a skill's folder, with SKILL.md first."""
    own = File(text.encode("utf-8"), package.files[package.path].executable)
    others = {path: file for path, file in package.files.items() if path != package.path}
    return {SKILL_FILE: own, **others}


def _write(target: Path, files: dict[str, File]) -> None:
    """Publish `target` with these files in it."""
    fill = _fill_zip if target.suffix.lower() == ".zip" else _fill_folder
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".skillos-export-", dir=target.parent))
        try:
            fill(draft / "made", files)
            publish(draft / "made", target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        taken = error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
        why = "it exists already" if taken else error.strerror or str(error)
        advice = "name a path that is free" if taken else "name a path that you may write to, with enough space"
        raise ExchangeError(f"cannot export to {target}: {why}; {advice}") from error


def _fill_folder(folder: Path, files: dict[str, File]) -> None:
    folder.mkdir()
    for path, file in files.items():
        full = folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(file.data)
        if file.executable:
            full.chmod(full.stat().st_mode | 0o111)


def _fill_zip(path: Path, files: dict[str, File]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (0o100755 if file.executable else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.data)

"""Import skills from folders, archives, git and other runs; export them as valid Agent Skills.

    bundle = read_source(Path("collection.zip"))                 # or a folder, or read_git(path, step=3, run="r1")
    candidates(bundle, root)                                     # what can be chosen, for a list or a screen
    plan = plan_import(bundle, root, choices={"mugs": Rename("cups")})           # what an import does; changes nothing
    report = import_skills(root, plan, trailers={"Reviewer": "ada"})             # one commit, or nothing

    report = export_skills(read_repo(root), Path("skills.zip"))                  # or a new folder

A source is hostile until it is parsed: no link is followed, nothing is unpacked to the disk or run, every size is bounded.
"""

from engine.skills.exchange.bundle import Bundle, ExchangeError, File, Package, Skipped
from engine.skills.exchange.candidates import Candidate, candidates
from engine.skills.exchange.exporting import Exported, ExportReport, export_skills
from engine.skills.exchange.importing import (
    Choice,
    Clash,
    Imported,
    ImportPlan,
    ImportReport,
    Leave,
    Left,
    Rename,
    Replace,
    Take,
    import_skills,
    plan_import,
)
from engine.skills.exchange.sources import read_archive, read_folder, read_git, read_repo, read_source

__all__ = [
    "Bundle",
    "Candidate",
    "Choice",
    "Clash",
    "ExchangeError",
    "ExportReport",
    "Exported",
    "File",
    "ImportPlan",
    "ImportReport",
    "Imported",
    "Leave",
    "Left",
    "Package",
    "Rename",
    "Replace",
    "Skipped",
    "Take",
    "candidates",
    "export_skills",
    "import_skills",
    "plan_import",
    "read_archive",
    "read_folder",
    "read_git",
    "read_repo",
    "read_source",
]

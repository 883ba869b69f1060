"""Parts of packages, as they are installed: a folder on the path with one entry point.

install(tmp_path, monkeypatch, "skillos.judges", moody="tests.extending.toys.judge:KIND")
"""


def install(folder, monkeypatch, group, **parts):
    """Make `parts`, by name "module:attribute", entry points of `group` in this process."""
    metadata = folder / f"parts_{group.replace('.', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: parts-{group}\nVersion: 1.0\n")
    lines = [f"{name} = {reference}" for name, reference in parts.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    monkeypatch.syspath_prepend(folder)

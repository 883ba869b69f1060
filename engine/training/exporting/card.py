"""The model card of an exported checkpoint: `card(run, config, 20, hashes, notes, merged=True, gguf=False)` is README.md."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from typing import Any

import jinja2

from engine.config import Config, to_tables, to_toml
from engine.core.events import HeldOutMeasured
from engine.core.parts import kind_of
from engine.core.text import printable
from engine.runs.directory import Run
from engine.runs.measurements import measurements
from engine.runs.status import updates
from engine.runs.text import number
from engine.system.published import departures, sentence
from engine.training.origin import base_of

CARD = "README.md"
TEMPLATE = "card.md.j2"
SHOWN = ("environment", "grouping", "executor", "curator", "strategy", "judge", "rewards", "training")
"""The sections of the configuration that a card shows. Those of models may name servers and folders of the machine."""
PACKAGES = ("skillos-tui", "torch", "transformers", "peft", "trl")
INTERVAL = 1.96
"""Standard errors of a 95 % interval."""


def card(
    run: Run,
    config: Config,
    step: int,
    hashes: Mapping[str, str],
    notes: Sequence[str],
    *,
    merged: bool,
    gguf: bool,
    full: bool = False,
) -> str:
    """The text of README.md. `hashes` are the SHA-256 of the other files by name; `full`: all weights were trained."""
    what = (
        "A model of which all weights were trained."
        if full
        else "A model that was merged with its LoRA adapter."
        if merged or gguf
        else "A LoRA adapter for the base model below."
    )
    made = [update for number, update in updates(run).items() if number <= step]
    tables = to_tables(config)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    template = environment.from_string((resources.files(__package__) / TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        base=base_of(config),
        run=printable(run.id),
        step=step,
        what=what,
        merged=merged,
        gguf=gguf,
        full=full,
        training=config.training,
        environment=kind_of(config.environment),
        settings={section: _shown(tables[section]) for section in SHOWN},
        settings_hash=hashlib.sha256(to_toml(config).encode()).hexdigest(),
        untouched=bool(made) and all(update.skipped for update in made),
        results=[_row(result) for result in measurements(run).values()],
        departures=[sentence(departure) for departure in departures(config)],
        notes=notes,
        versions=_versions(),
        hashes=hashes,
    )


def _row(result: HeldOutMeasured) -> dict[str, Any]:
    score, error = result.r_task, result.standard_error
    interval = "not known"
    if score is not None and error is not None:
        low, high = max(0.0, score - INTERVAL * error), min(1.0, score + INTERVAL * error)
        interval = f"{low:.3f} to {high:.3f}"
    return {
        "step": result.step,
        "groups": result.groups,
        "r_task": number(score),
        "interval": interval,
        "unmeasured": result.unmeasured,
    }


def _shown(table: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a section, each on one line; texts that are not set are left out."""
    return {
        name: printable(str(value), 80).replace("`", "'") for name, value in table.items() if value not in ("", [], ())
    }


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found

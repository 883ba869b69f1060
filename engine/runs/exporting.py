"""The telemetry of a run as files for other programs: JSON lines, CSV, and TensorBoard's event files.

    update(Path("metrics.jsonl"), jsonl(run.id, steps), run.id)

What a file holds follows from the run's steps alone, so a second export changes nothing, and one of a run that went on
appends: a file is written anew only where a resume undid a step that is in it. No file of others is overwritten.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError
from engine.core.files import replace
from engine.runs.directory import Run
from engine.runs.metrics import METRICS, figures, row
from engine.runs.telemetry import StepMetrics, Telemetry

FIRST_COLUMNS = ("run", "step", "at", "alarms")


class ExportFailed(SkillosError):
    """Metrics cannot be written where they were asked for."""


def complete(telemetry: Telemetry, *, ended: bool) -> list[StepMetrics]:
    """The steps of which no more events will come, in order. `ended`: nobody works on the run, so all of them are."""
    steps = telemetry.steps
    return [steps[step] for step in sorted(steps) if ended or steps[step].alarms is not None or telemetry.begun > step]


def jsonl(run_id: str, steps: Sequence[StepMetrics]) -> bytes:
    """One JSON object a step, each on a line."""
    return b"".join(msgspec.json.encode(row(run_id, step)) + b"\n" for step in steps)


def table(run_id: str, steps: Sequence[StepMetrics], *, header: bool = True) -> bytes:
    """The same as CSV, without what has names of its own: a column for each metric, empty where it was not measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow([*FIRST_COLUMNS, *METRICS])
    for step in steps:
        values = row(run_id, step)
        values["alarms"] = " ".join(values["alarms"])
        writer.writerow([values[name] for name in (*FIRST_COLUMNS, *METRICS)])
    return text.getvalue().encode()


def tensorboard(steps: Sequence[StepMetrics]) -> bytes:
    """A TensorBoard event file of the same metrics, tagged "group/name"; what was not measured is left out.

    Raises `ExportFailed` where the package that writes it is not installed.
    """
    try:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.record_writer import RecordWriter
    except ImportError as error:
        raise ExportFailed(
            f"TensorBoard files need tensorboardX, which is not installed ({error}): pip install 'skillos-tui[tensorboard]'"
        ) from error
    first = steps[0].at or 0.0 if steps else 0.0
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "events")
        writer = RecordWriter(str(draft))
        writer.write(Event(wall_time=first, file_version="brain.Event:2").SerializeToString())
        for step in steps:
            values = [
                Summary.Value(tag=f"{METRICS[name].group}/{name}", simple_value=value)
                for name, value in figures(step).items()
                if value is not None
            ]
            made = Event(wall_time=step.at or 0.0, step=step.step, summary=Summary(value=values))
            writer.write(made.SerializeToString())
        writer.close()
        return draft.read_bytes()


def tensorboard_file(folder: Path, run: Run) -> Path:
    """The event file of a run in a folder of TensorBoard, where each run has a folder of its own."""
    return folder / run.path.name / f"events.out.tfevents.{int(run.created)}.skillos-metrics"


def update(path: Path, content: bytes, run_id: str) -> None:
    """Let the file hold `content`: append what it lacks, or else write it anew in one piece.

    Raises `ExportFailed` for a file that is no export of the run, and `OSError`.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ExportFailed(f"{path} is not a regular file; give the name of a file")
    before = path.read_bytes() if path.exists() else None
    if before is not None and content.startswith(before):
        with path.open("ab") as file:
            file.write(content[len(before) :])
        return
    if before and not _is_export(before, path.name, run_id):
        raise ExportFailed(f"{path} exists and is no export of the run {run_id}; give another file")
    replace(path, content)


def _is_export(content: bytes, name: str, run_id: str) -> bool:
    """Whether a file was written here for the run."""
    first, _, second = content[:10_000].partition(b"\n")
    if name.endswith(".skillos-metrics"):
        return True
    if first.startswith(b"run,step,at,"):
        return not second or second.startswith(_quoted(run_id))
    try:
        found = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and found.get("run") == run_id and "step" in found


def _quoted(run_id: str) -> bytes:
    """The beginning of a row of CSV of the run."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([run_id, ""])
    return text.getvalue().encode()

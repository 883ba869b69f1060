"""A chart as a file: what it contains, whatever its names are, and never over another file."""

from __future__ import annotations

import resource
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from skillos_tui.client.drawing import free_name, working_folder, write_chart
from skillos_tui.render.picture import CannotDraw, dashed, picture
from skillos_tui.render.plot import Series

SERIES = [Series("r_task", {1: 0.25, 2: None, 3: 0.5, 4: 0.5}), Series("<b>&\x1b[31m", {2: 0.75, 4: 1.0})]
SVG = "{http://www.w3.org/2000/svg}"


def test_csv_has_a_row_a_step_and_an_empty_field_where_nothing_was_measured() -> None:
    text = picture("a.csv", "t", SERIES, range(1, 4)).decode()
    assert text.splitlines() == ["step,r_task,<b>&␛[31m", "1,0.25,", "2,,0.75", "3,0.5,"]


def test_svg_is_well_formed_breaks_curves_at_gaps_and_names_nothing_of_elsewhere() -> None:
    content = picture("a.svg", "run <1>", SERIES, range(1, 5)).decode()
    root = ET.fromstring(content)
    lines = [line for line in root.iter(f"{SVG}polyline") if line.get("stroke-width") == "2"]
    assert sorted(len((line.get("points") or "").split()) for line in lines) == [2, 2]
    assert {line.get("stroke") for line in lines} == {"#1f5fa8", "#2c7a3f"}
    assert len({line.get("stroke-dasharray") for line in lines}) == 2
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"run <1>", "r_task", "<b>&␛[31m", "step", "1", "4"} <= texts
    assert "href" not in content and "url(" not in content


def test_curves_of_other_units_have_a_scale_each_whose_ends_are_beside_their_names() -> None:
    series = [Series("r", {1: 0.0, 2: 1.0}), Series("seconds", {1: 10.0, 2: 20.0}, "s")]
    root = ET.fromstring(picture("a.svg", "t", series, range(1, 3)))
    curves = [line.get("points") for line in root.iter(f"{SVG}polyline") if line.get("stroke-width") == "2"]
    assert len(curves) == 2 and len(set(curves)) == 1
    texts = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert "r (0.0 to 1.0)" in texts and "seconds (10 to 20)" in texts


def test_names_of_curves_do_not_touch_and_keep_the_end_by_which_they_differ() -> None:
    runs = [
        f"101502-train-with-a-long-name-and-the-rate-{rate}"
        for rate in ("1e-4", "1e-5", "1e-6", "1e-7", "2e-7", "3e-7")
    ]
    series = [Series(f"r_task {run}", {1: at / 9, 2: at / 10}) for at, run in enumerate(runs)]
    root = ET.fromstring(picture("a.svg", ", ".join(runs), series, range(1, 3)))
    labels = [text for text in root.iter(f"{SVG}text") if (text.text or "").startswith("r_task")]
    assert [(text.text or "")[-4:] for text in labels] == [run[-4:] for run in runs]
    places = {(float(text.get("x") or 0), float(text.get("y") or 0)): len(text.text or "") for text in labels}
    for (x, y), length in places.items():
        assert x + length * 7.5 <= min([960, *(other - 12 for other, row in places if row == y and other > x)])
    title = next(root.iter(f"{SVG}text")).text or ""
    assert "…" in title and title.startswith("101502-train") and title.endswith("3e-7")


def test_a_single_step_is_in_the_middle_and_no_other_one_is_named() -> None:
    root = ET.fromstring(picture("a.svg", "t", [Series("r", {7: 0.5})], range(7, 8)))
    assert [text.get("x") for text in root.iter(f"{SVG}text") if text.text == "7"] == ["508.0"]
    assert not [text.text for text in root.iter(f"{SVG}text") if text.text == "8"]


def test_png_is_a_picture_of_this_size() -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    from io import BytesIO

    found = image.open(BytesIO(picture("a.PNG", "t", SERIES, range(1, 5))))
    assert (found.format, found.size) == ("PNG", (960, 540))
    assert found.convert("RGB").getcolors(100_000) and len(found.convert("RGB").getcolors(100_000)) > 10


def test_a_dash_pattern_leaves_its_gaps_across_corners() -> None:
    pieces = list(dashed([(0, 0), (6, 0), (6, 6)], (4, 4)))
    assert pieces == [[(0, 0), (4, 0)], [(6, 2), (6, 6)]]
    assert list(dashed([(0, 0), (1, 1)], ())) == [[(0, 0), (1, 1)]] and list(dashed([(0, 0)], ())) == []


@pytest.mark.parametrize("name", ["chart", "chart.gif", ".svg.bak"])
def test_another_ending_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(CannotDraw, match=r"\.png, \.svg, \.csv"):
        picture(name, "t", SERIES, range(1, 5))


def test_no_file_is_overwritten_and_a_free_name_is_proposed(tmp_path: Path) -> None:
    first = free_name(tmp_path, "train pocket/r_task", ".csv")
    assert first == tmp_path / "train-pocket-r_task.csv"
    assert write_chart(str(first), "t", SERIES, range(1, 5)) == first
    before = first.read_bytes()
    with pytest.raises(CannotDraw, match="exists already"):
        write_chart(str(first), "t", SERIES, range(1, 3))
    assert first.read_bytes() == before
    assert free_name(tmp_path, "train pocket/r_task", ".csv") == tmp_path / "train-pocket-r_task-2.csv"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotDraw, match=r"cannot write .*/none/a\.svg: No such file"):
        write_chart(str(tmp_path / "none" / "a.svg"), "t", SERIES, range(1, 5))


def test_a_file_that_cannot_be_written_whole_is_not_left(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(CannotDraw, match=r"cannot write .*a\.svg: File too large"):
            write_chart(str(tmp_path / "a.svg"), "t", SERIES, range(1, 5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_have_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotDraw):
        write_chart(str(tmp_path / f"{'a' * 400}.csv"), "t", SERIES, range(1, 5))
    assert free_name(tmp_path / ("a" * 400), "chart", ".csv").name == "chart.csv"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert working_folder() == Path.home()
    with pytest.raises(CannotDraw):
        write_chart("chart.csv", "t", SERIES, range(1, 5))

import csv
import errno
import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from restorekit import files
from restorekit.backends.card import Measured
from restorekit.errors import DataError, UsageError
from restorekit.evaluation.report import (
    as_csv,
    as_dict,
    as_json,
    as_latex,
    as_markdown,
    measured_in,
    require_format,
    require_place,
    write_report,
)
from restorekit.evaluation.run import Evaluation
from restorekit.events import FileFailed
from tests.evaluation.conftest import pair


def test_json_holds_every_number_with_its_protocol(evaluations):
    (report,) = json.loads(as_json(evaluations))["sets"]
    assert report["protocol"]["id"] == "rain-y-matlab"
    assert report["protocol"]["space"] == "y-matlab"
    assert report["degraded"]["mean"] == {"psnr": 22.5, "ssim": 0.5}
    first, second = report["results"]
    assert (first["model"], first["protocol"]) == ("a", "rain-y-matlab")
    assert first["mean"] == {"psnr": 27.0, "ssim": 0.75}
    assert first["interval"] == {"psnr": [24.0, 30.0], "ssim": [0.75, 0.75]}
    assert (first["made_worse"], first["largest_loss"]) == (1, 1.0)
    assert (second["made_worse"], second["largest_loss"]) == (0, 0.0)
    assert first["seconds_per_megapixel"] == 0.5
    assert (first["peak_bytes"], second["peak_bytes"]) == (None, 200 * 2**20)
    assert first["pictures"][1]["restored"]["psnr"] == 24


def test_json_says_what_part_of_the_set_it_is(evaluations):
    part = [replace(each, whole=100) for each in evaluations]
    (report,) = as_dict(part)["sets"]
    assert (report["whole_set"], report["complete"]) == (100, False)
    assert report["results"][0]["pairs"] == 2
    (whole,) = as_dict(evaluations)["sets"]
    assert (whole["whole_set"], whole["complete"]) == (None, True)


def test_published_numbers_are_in_the_json_with_their_paper(evaluations):
    (report,) = as_dict(evaluations)["sets"]
    found = {row["method"]: row for row in report["published"] if row["metric"] == "psnr"}
    assert found["SFNet"]["value"] == 38.21
    assert {row["protocol"] for row in report["published"]} == {"rain-y-matlab"}


def test_several_sets_are_several_entries(evaluations):
    other = [replace(each, dataset="other") for each in evaluations]
    assert [each["dataset"] for each in as_dict([*evaluations, *other])["sets"]] == [
        "Rain100L",
        "other",
    ]


def test_infinite_values_are_words_and_missing_ones_null_in_json(evaluations):
    pairs = (pair("1", 20, math.inf), pair("2", math.nan, math.inf))
    perfect = Evaluation("a", "x", evaluations[0].protocol, pairs)
    result = json.loads(as_json([perfect]))["sets"][0]["results"][0]
    assert result["mean"]["psnr"] == "inf"
    assert result["interval"]["psnr"] is None
    assert result["pictures"][1]["degraded"]["psnr"] is None


def test_a_model_that_failed_on_everything_is_in_the_json(evaluations):
    failed = (FileFailed(Path("3.png"), "cut off"),)
    nothing = Evaluation("a", "mine", evaluations[0].protocol, (), failed)
    result = json.loads(as_json([nothing]))["sets"][0]["results"][0]
    assert result["failed"] == [{"file": "3.png", "error": "cut off"}]
    assert (result["pairs"], result["mean"]) == (0, {"psnr": None, "ssim": None})


def test_markdown_is_a_table(evaluations):
    lines = as_markdown(evaluations).splitlines()
    assert lines[0] == "**Rain100L, 2 pairs**"
    assert lines[2].startswith("| model | protocol | pairs | PSNR [dB] | 95 % interval |")
    assert lines[3].startswith("| --- | --- | --- | ---: |")
    assert lines[5].startswith("| a | rain-y-matlab | 2 | 27.00 | [24.00, 30.00] |")
    assert len({line.count("|") for line in lines[2:7]}) == 1


def test_names_cannot_break_the_tables(evaluations):
    odd = [replace(evaluations[0], model="a|b_1%\\x", dataset="mine")]
    assert "| a\\|b_1%\\x | rain-y-matlab |" in as_markdown(odd)
    assert r"$\Delta$E & " in as_latex([replace(odd[0], model="ΔE")])
    assert r"a|b\_1\%\textbackslash{}x & rain-y-matlab & 2 & 27.00" in as_latex(odd)


def test_latex_is_a_table_of_booktabs(evaluations):
    lines = as_latex([replace(each, dataset="mine") for each in evaluations]).splitlines()
    assert r"\begin{tabular}{lllrrrrrrrr}" in lines
    begin = lines.index(r"\midrule")
    rows = lines[begin + 1 : lines.index(r"\bottomrule")]
    assert [row.split(" & ")[0] for row in rows] == ["degraded", "a", "b"]
    assert {row.count(" & ") for row in rows} == {10}
    assert all(row.endswith(r" \\") for row in rows)


def test_csv_has_one_line_for_each_model_and_picture(evaluations):
    grouped = replace(evaluations[1], pairs=(pair("1", 20, 28, groups=("jpeg", "noise")),))
    rows = list(csv.DictReader(io.StringIO(as_csv([evaluations[0], grouped]))))
    assert [(row["model"], row["name"]) for row in rows] == [("a", "1"), ("a", "2"), ("b", "1")]
    assert rows[1]["psnr"] == "24"
    assert rows[1]["degraded_psnr"] == "25"
    assert {row["protocol"] for row in rows} == {"rain-y-matlab"}
    assert rows[0]["pairs"] == "2 pairs"
    assert rows[2]["groups"] == "jpeg; noise"


@pytest.mark.parametrize("suffix", [".json", ".md", ".csv", ".tex", ".html"])
def test_reports_are_written_by_suffix(evaluations, tmp_path, suffix):
    path = tmp_path / "below" / f"report{suffix}"
    write_report(path, evaluations)
    assert "rain-y-matlab" in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_other_reports_are_refused(tmp_path):
    known = r"report\.pdf: a report is one of \.json, \.csv, \.md, \.tex, \.html"
    with pytest.raises(UsageError, match=known):
        require_format(tmp_path / "report.pdf")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        require_format(tmp_path / "folder.md")


def test_a_place_that_cannot_be_written_to_is_refused_before(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"file: nothing can be written there \(.*exists"):
        require_format(tmp_path / "file" / "report.json")
    with pytest.raises(UsageError, match="nothing can be written there"):
        require_place(Path("/proc/restorekit"))


def test_a_report_that_cannot_be_written_keeps_the_one_before(evaluations, tmp_path, monkeypatch):
    report = tmp_path / "r.json"
    report.write_text("before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_flush", full)
    with pytest.raises(DataError, match=r"r\.json: cannot be written \(No space left .*--resume"):
        write_report(report, evaluations)
    assert report.read_text() == "before"
    assert list(tmp_path.iterdir()) == [report]


# numbers for a card


def test_means_are_read_off_a_report(evaluations, tmp_path):
    other = [replace(each, dataset="other") for each in evaluations]
    write_report(tmp_path / "r.json", [*evaluations, *other])
    values = {"psnr": 27.0, "ssim": 0.75}
    assert measured_in(tmp_path / "r.json", "b") == [
        Measured(dataset=name, protocol="rain-y-matlab", values=values)
        for name in ("Rain100L", "other")
    ]


def test_a_mean_that_is_no_number_is_on_no_card(evaluations, tmp_path):
    pairs = (pair("1", 20, math.inf), pair("2", 25, 24))
    write_report(tmp_path / "r.json", [replace(evaluations[0], pairs=pairs)])
    assert measured_in(tmp_path / "r.json", "a")[0].values == {"ssim": 0.75}
    protocol = replace(evaluations[0].protocol, metrics=("psnr", "lpips_alex"))
    write_report(tmp_path / "r.json", [replace(evaluations[0], protocol=protocol, pairs=pairs)])
    with pytest.raises(UsageError, match="no metric has a finite mean on Rain100L"):
        measured_in(tmp_path / "r.json", "a")


def test_a_part_of_a_set_is_on_no_card(evaluations, tmp_path):
    write_report(tmp_path / "r.json", [replace(evaluations[0], whole=100)])
    with pytest.raises(UsageError, match="only 2 of 100 pairs of Rain100L were measured"):
        measured_in(tmp_path / "r.json", "a")


def test_reports_of_one_set_by_version_0_1_are_read(tmp_path):
    row = {"model": "a", "protocol": "rgb", "pairs": 100, "mean": {"psnr": 31.5}, "failed": []}
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"dataset": "Rain100L", "results": [row]}))
    assert measured_in(path, "a")[0].values == {"psnr": 31.5}


def test_a_mean_of_a_part_of_the_pictures_is_not_for_a_card(evaluations, tmp_path):
    first, second = evaluations[0].pairs
    small = replace(second, restored=second.restored | {"ssim": math.nan}, undefined=("small",))
    write_report(tmp_path / "r.json", [replace(evaluations[0], pairs=(first, small))])
    assert measured_in(tmp_path / "r.json", "a")[0].values == {"psnr": 27.0}
    (told,) = json.loads((tmp_path / "r.json").read_text())["sets"][0]["results"]
    assert [picture["undefined"] for picture in told["pictures"]] == [[], ["small"]]


@pytest.mark.parametrize("content", ["[]", "no json", '{"sets": [1]}'])
def test_other_files_are_no_reports(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(UsageError, match="not a report of eval"):
        measured_in(tmp_path / "r.json", "a")


def test_a_report_without_the_model(evaluations, tmp_path):
    write_report(tmp_path / "r.json", evaluations)
    with pytest.raises(UsageError, match="measures no model called c"):
        measured_in(tmp_path / "r.json", "c")

import csv
import io
import json
import math

import pytest

from restorekit.errors import UsageError
from restorekit.evaluation.report import (
    as_csv,
    as_dict,
    as_json,
    as_markdown,
    as_table,
    require_format,
    write_report,
)
from restorekit.evaluation.run import Evaluation, PairResult
from restorekit.events import FileFailed
from restorekit.metrics.protocols import get_protocol


def pair(name: str, before: float, after: float) -> PairResult:
    degraded = {"psnr": before, "ssim": 0.5}
    restored = {"psnr": after, "ssim": 0.75}
    return PairResult(name, 500_000, degraded, restored, 0.25)


@pytest.fixture
def evaluations() -> list[Evaluation]:
    protocol = get_protocol("rain-y-matlab")
    good = (pair("1", 20, 30), pair("2", 25, 24))
    return [
        Evaluation("a", "Rain100L", protocol, good, whole=100),
        Evaluation("b", "Rain100L", protocol, (pair("1", 20, 28), pair("2", 25, 26)), whole=100),
    ]


def test_the_table_has_the_degraded_pictures_and_each_model(evaluations):
    table = as_table(evaluations)
    assert table.headings[:5] == ("model", "protocol", "pairs", "PSNR [dB]", "SSIM")
    assert table.rows == (
        ("degraded", "rain-y-matlab", "2", "22.50", "0.5000", "", "", ""),
        ("a", "rain-y-matlab", "2", "27.00", "0.7500", "1", "1.00", "0.50"),
        ("b", "rain-y-matlab", "2", "27.00", "0.7500", "0", "-", "0.50"),
    )


def test_the_caption_says_how_the_numbers_were_made(evaluations):
    caption = as_table(evaluations).caption
    assert "Rain100L, 2 of 100 pairs; protocol rain-y-matlab: 8-bit pictures" in caption
    assert "SSIM is gaussian-valid" in caption


def test_half_a_set_is_never_reported_as_the_whole(evaluations):
    failed = (FileFailed("3.png", "cut off"),)
    part = Evaluation("a", "mine", evaluations[0].protocol, evaluations[0].pairs, failed)
    assert "mine, 2 of 3 pairs" in as_table([part]).caption
    whole = Evaluation("a", "mine", evaluations[0].protocol, evaluations[0].pairs)
    assert "mine, 2 pairs;" in as_table([whole]).caption


def test_json_holds_every_number_with_its_protocol(evaluations):
    report = json.loads(as_json(evaluations))
    assert report["protocol"]["id"] == "rain-y-matlab"
    assert report["protocol"]["space"] == "y-matlab"
    assert report["whole_set"] == 100
    assert report["degraded"]["mean"] == {"psnr": 22.5, "ssim": 0.5}
    first = report["results"][0]
    assert (first["model"], first["protocol"]) == ("a", "rain-y-matlab")
    assert first["mean"] == {"psnr": 27.0, "ssim": 0.75}
    assert (first["made_worse"], first["largest_loss"]) == (1, 1.0)
    assert first["seconds_per_megapixel"] == 0.5
    assert first["pictures"][1]["restored"]["psnr"] == 24


def test_infinite_values_are_words_in_json(evaluations):
    perfect = Evaluation("a", "x", evaluations[0].protocol, (pair("1", 20, math.inf),))
    assert as_dict([perfect])["results"][0]["mean"]["psnr"] == "inf"
    json.loads(as_json([perfect]))


def test_failures_are_in_the_report(evaluations):
    failed = (FileFailed("3.png", "cut off"),)
    part = Evaluation("a", "mine", evaluations[0].protocol, evaluations[0].pairs, failed)
    result = as_dict([part])["results"][0]
    assert result["failed"] == [{"file": "3.png", "error": "cut off"}]
    assert result["pairs"] == 2


def test_markdown_is_a_table(evaluations):
    lines = as_markdown(evaluations).splitlines()
    assert lines[0].startswith("| model | protocol | pairs | PSNR [dB] |")
    assert lines[1].startswith("| --- | --- | ---: |")
    assert lines[3].startswith("| a | rain-y-matlab | 2 | 27.00 |")
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert "protocol rain-y-matlab" in lines[-1]


def test_csv_has_one_line_for_each_model_and_picture(evaluations):
    rows = list(csv.DictReader(io.StringIO(as_csv(evaluations))))
    assert [(row["model"], row["name"]) for row in rows] == [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("b", "2"),
    ]
    assert rows[1]["psnr"] == "24"
    assert rows[1]["degraded_psnr"] == "25"
    assert {row["protocol"] for row in rows} == {"rain-y-matlab"}


@pytest.mark.parametrize("suffix", [".json", ".md", ".csv"])
def test_reports_are_written_by_suffix(evaluations, tmp_path, suffix):
    path = tmp_path / "below" / f"report{suffix}"
    write_report(path, evaluations)
    assert "rain-y-matlab" in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_other_reports_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"report\.pdf: a report is one of \.json, \.md, \.csv"):
        require_format(tmp_path / "report.pdf")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        require_format(tmp_path / "folder.md")

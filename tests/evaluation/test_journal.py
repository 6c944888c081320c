import math
import os
from dataclasses import replace

import pytest

from restorekit.data.matching import find_pairs
from restorekit.errors import DataError, UsageError
from restorekit.evaluation.journal import Measurement, append, open_journal
from restorekit.metrics.protocols import get_protocol, with_metrics
from tests.evaluation.conftest import pair as result

WHAT = Measurement("tiny", "0" * 64, "set", get_protocol("rgb"), "cpu")


@pytest.fixture
def pair(folder):
    return find_pairs(folder)[0]


def test_results_are_found_again_to_the_last_bit(pair, tmp_path):
    written = replace(
        result("1", 1 / 3, math.inf, peak_bytes=7, groups=("jpeg", "jpeg, severity 4")),
        degraded={},
    )
    append(tmp_path / "below" / "j.jsonl", WHAT, pair, written)
    assert open_journal(tmp_path / "below" / "j.jsonl") == {WHAT.key(pair): written}


def test_what_is_not_available_stays_so(pair, tmp_path):
    append(tmp_path / "j.jsonl", WHAT, pair, result("1", math.nan, 2))
    (found,) = open_journal(tmp_path / "j.jsonl").values()
    assert math.isnan(found.degraded["psnr"])


def test_why_a_metric_is_not_defined_is_found_again(pair, tmp_path):
    small = replace(result("1", 20, 30), undefined=("SSIM needs 11 pixels",))
    append(tmp_path / "j", WHAT, pair, small)
    assert open_journal(tmp_path / "j")[WHAT.key(pair)].undefined == small.undefined


def test_the_last_result_counts(pair, tmp_path):
    for value in (20, 30):
        append(tmp_path / "j.jsonl", WHAT, pair, result("1", 10, value))
    (found,) = open_journal(tmp_path / "j.jsonl").values()
    assert found.restored["psnr"] == 30


def test_a_line_that_was_cut_off_is_taken_away(pair, tmp_path):
    journal = tmp_path / "j.jsonl"
    append(journal, WHAT, pair, result("1", 10, 20))
    whole = journal.read_bytes()
    for end in (1, len(whole) // 2, len(whole) - 1):
        journal.write_bytes(whole + whole[:end])
        assert len(open_journal(journal)) == 1
        assert journal.read_bytes() == whole


def test_a_journal_that_cannot_be_written_says_how_to_go_on(pair, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"j\.jsonl: cannot be written .*go on with --resume"):
        append(tmp_path / "file" / "j.jsonl", WHAT, pair, result("1", 10, 20))


def test_no_journal_is_empty(tmp_path):
    assert open_journal(tmp_path / "none.jsonl") == {}
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("line", ["hello", "{}", '{"format": 9, "key": "a"}', "[]"])
def test_another_file_is_refused_and_left_alone(tmp_path, line):
    path = tmp_path / "j.jsonl"
    path.write_text(f"{line}\nrest")
    with pytest.raises(DataError, match="line 1: not a result"):
        open_journal(path)
    assert path.read_text() == f"{line}\nrest"
    with pytest.raises(UsageError, match="is a folder"):
        open_journal(tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        replace(WHAT, identity="1" * 64),
        replace(WHAT, dataset="other"),
        replace(WHAT, device="cuda:0"),
        replace(WHAT, protocol=get_protocol("rgb-float")),
        replace(WHAT, protocol=with_metrics(get_protocol("rgb"), ["psnr"])),
    ],
    ids=["weights", "set", "device", "protocol", "metrics"],
)
def test_another_measurement_has_another_key(pair, other):
    assert other.key(pair) != WHAT.key(pair)


def test_the_name_of_the_model_does_not_matter(pair):
    assert replace(WHAT, model="renamed").key(pair) == WHAT.key(pair)


@pytest.mark.parametrize("which", ["degraded", "reference"])
def test_a_file_that_changed_is_measured_anew(pair, which):
    before = WHAT.key(pair)
    path = getattr(pair, which)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert WHAT.key(pair) != before

import os
from pathlib import Path

import pytest

from restorekit.data.catalog import DATASETS
from restorekit.data.check import check_dataset
from restorekit.data.findings import Problem
from restorekit.errors import DataError
from tests.data.trees import plant


def rain(root, count=100):
    names = [f"{kind}/{k}.png" for kind in ("input", "target") for k in range(1, count + 1)]
    plant(root / "Rain100L", *names)
    return root


def check(name, root, **options):
    return check_dataset(DATASETS[name], root, **options)


def test_a_folder_of_anybody_may_have_larger_references(tmp_path):
    plant(tmp_path, "input/1.png", "input/2.png")
    plant(tmp_path, "target/1.png", "target/2.png", size=(25, 17))
    assert check("folder", tmp_path).ok
    assert {pair.scale for pair in DATASETS["folder"].pairs(tmp_path)} == {4}
    plant(tmp_path, "target/2.png", size=(12, 8))
    (finding,) = check("folder", tmp_path).findings
    assert (finding.problem, finding.path.name) == (Problem.SIZE, "2.png")


def test_a_whole_set_is_ok(tmp_path):
    result = check("Rain100L", rain(tmp_path))
    assert result.ok
    assert (result.pairs, result.expected, result.findings, result.missing) == (100, 100, (), ())
    assert result.folder == tmp_path / "Rain100L"
    assert "Restormer" in result.layout


def test_what_is_missing_is_named(tmp_path):
    rain(tmp_path)
    for kind in ("input", "target"):
        (tmp_path / "Rain100L" / kind / "7.png").unlink()
    result = check("Rain100L", tmp_path)
    assert not result.ok
    assert result.missing == ("7",)


def test_names_of_another_copy_can_only_be_counted(tmp_path):
    plant(tmp_path / "Rain100L", "input/norain-001x.png", "target/norain-001x.png")
    result = check("Rain100L", tmp_path)
    assert not result.ok
    assert (result.pairs, result.expected, result.missing) == (1, 100, ())


def test_sequences_are_counted(tmp_path):
    names = [f"test/GOPR0384_11_00/{kind}/1.png" for kind in ("blur", "sharp")]
    plant(tmp_path / "GoPro", *names)
    missing = check("GoPro", tmp_path).missing
    assert missing[0] == "GOPR0384_11_00: 1 of 100"
    assert "GOPR0862_11_00: 0 of 77" in missing


def test_unpaired_files_are_named(tmp_path):
    rain(tmp_path)
    (tmp_path / "Rain100L" / "target" / "9.png").unlink()
    result = check("Rain100L", tmp_path)
    (finding,) = result.findings
    assert (finding.problem, finding.path.name) == (Problem.NO_REFERENCE, "9.png")
    assert result.missing == ("9",)


def test_sizes_within_a_pair_and_headers(tmp_path):
    rain(tmp_path)
    plant(tmp_path / "Rain100L", "target/3.png", size=(5, 4))
    (tmp_path / "Rain100L" / "target" / "4.png").write_bytes(b"no picture")
    findings = {f.problem: f for f in check("Rain100L", tmp_path).findings}
    assert findings[Problem.SIZE].details == "6x4 and 5x4"
    assert findings[Problem.UNREADABLE].path == tmp_path / "Rain100L" / "target" / "4.png"


def test_a_file_that_breaks_off_is_found_by_reading_it_to_its_end(tmp_path):
    rain(tmp_path)
    plant(tmp_path / "Rain100L", "input/5.png", "target/5.png", size=(60, 40))
    whole = (tmp_path / "Rain100L" / "input" / "5.png").read_bytes()
    (tmp_path / "Rain100L" / "input" / "5.png").write_bytes(whole[:-20])
    assert check("Rain100L", tmp_path).ok
    (finding,) = check("Rain100L", tmp_path, decode=True).findings
    assert (finding.problem, finding.path.name) == (Problem.UNREADABLE, "5.png")


def test_another_version_is_noticed(tmp_path):
    plant(tmp_path / "Kodak", *(f"{k}.png" for k in range(24)), size=(768, 512))
    assert check("Kodak24-full", tmp_path).notes == ()
    (note,) = check("Kodak24", tmp_path).notes
    assert note.startswith("24 of 24 pictures are 768x512, where the set has 500x500")


def test_a_set_whose_references_are_kept_back(tmp_path):
    (tmp_path / "DND" / "images_srgb").mkdir(parents=True)
    for k in range(1, 50):
        (tmp_path / "DND" / "images_srgb" / f"{k:04}.mat").touch()
    result = check("DND", tmp_path)
    assert (result.pairs, result.missing, result.findings) == (49, ("0050.mat",), ())


def test_a_copy_with_another_count(tmp_path):
    names = [f"{split}/{k}/1.tif" for split in ("train2500", "test2000") for k in ("Snow", "Gt")]
    plant(tmp_path / "CSD", *names)
    assert check("CSD", tmp_path, split="train").expected == 2500
    assert check("CSD", tmp_path).expected == 2000


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="GoPro is not in"):
        check("GoPro", tmp_path)


def test_every_pair_is_watched(tmp_path):
    seen = []

    def watch(pairs):
        for pair in pairs:
            seen.append(pair.name)
            yield pair

    check("Rain100L", rain(tmp_path, 3), watch=watch)
    assert seen == ["1", "2", "3"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder", "found", "missing"),
    [
        ("Rain100L", "paired", 100, 0),
        ("SOTS-Indoor", "paired", 13, 487),
        ("CBSD68", "eval", 68, 0),
        ("Kodak24-full", "eval", 24, 0),
        ("Set5", "eval", 5, 0),
        ("Set14", "eval", 14, 0),
    ],
)
def test_benchmark_copies(name, folder, found, missing):
    root = os.environ.get("RESTOREKIT_TEST_DATA")
    if root is None:
        pytest.skip("RESTOREKIT_TEST_DATA does not name the folder of the benchmark sets")
    result = check(name, Path(root) / folder)
    assert (result.pairs, len(result.missing), result.findings) == (found, missing, ())
    assert result.ok == (missing == 0)

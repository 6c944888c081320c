import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from restorekit.data.matching import (
    RULES,
    SAME_NAME,
    NameRule,
    clean_pictures,
    find_pairs,
    match_pairs,
    survey,
)
from restorekit.data.pairs import Pair, check_sizes
from restorekit.errors import DataError


def put(*paths: Path, size: tuple[int, int] = (6, 4)) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def joined(pairs: list[Pair]) -> dict[str, tuple[str, str]]:
    return {pair.name: (pair.degraded.name, pair.reference.name) for pair in pairs}


@pytest.mark.parametrize(
    ("degraded", "reference"),
    [
        ("input", "target"),
        ("degraded", "reference"),
        ("rainy", "clean"),
        ("hazy", "GT"),
        ("haze", "clear"),
        ("blur", "sharp"),
        ("noisy", "gt"),
        ("lq", "hq"),
        ("LR", "HR"),
        ("rain", "norain"),
        ("Snow", "Gt"),
    ],
)
def test_two_folders_with_the_same_stems(tmp_path, degraded, reference):
    put(tmp_path / degraded / "1.jpg", tmp_path / degraded / "2.PNG")
    put(tmp_path / reference / "1.png", tmp_path / reference / "2.png")
    assert joined(find_pairs(tmp_path)) == {"1": ("1.jpg", "1.png"), "2": ("2.PNG", "2.png")}


def test_names_are_in_natural_order_and_never_zipped(tmp_path):
    names = ["1", "2", "10"]
    put(*(tmp_path / "input" / f"{name}.png" for name in names))
    put(*(tmp_path / "target" / f"{name}.png" for name in names))
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == names
    assert all(pair.degraded.stem == pair.reference.stem for pair in pairs)


def test_many_hazy_pictures_share_a_clear_one(tmp_path):
    put(tmp_path / "hazy" / "1400_1.png", tmp_path / "hazy" / "1400_10.png")
    put(tmp_path / "hazy" / "0001_0.8_0.2.jpg")
    put(tmp_path / "clear" / "1400.png", tmp_path / "clear" / "0001.png")
    assert joined(find_pairs(tmp_path)) == {
        "0001_0.8_0.2": ("0001_0.8_0.2.jpg", "0001.png"),
        "1400_1": ("1400_1.png", "1400.png"),
        "1400_10": ("1400_10.png", "1400.png"),
    }


def test_raindrop_names(tmp_path):
    put(tmp_path / "data" / "0_rain.png", tmp_path / "gt" / "0_clean.png")
    assert joined(find_pairs(tmp_path)) == {"0_rain": ("0_rain.png", "0_clean.png")}


def test_rainy_folder_inside_the_folder_of_references(tmp_path):
    put(tmp_path / "rainy" / "rain-001.png", tmp_path / "norain-001.png")
    assert joined(find_pairs(tmp_path)) == {"rain-001": ("rain-001.png", "norain-001.png")}


@pytest.mark.parametrize(
    ("degraded", "reference"),
    [("Canon_1_Real.JPG", "Canon_1_mean.JPG"), ("01_hazy.png", "01_GT.png")],
)
def test_both_kinds_in_one_folder(tmp_path, degraded, reference):
    put(tmp_path / degraded, tmp_path / reference)
    assert list(joined(find_pairs(tmp_path)).values()) == [(degraded, reference)]


def test_sequences_keep_their_folder_in_the_name(tmp_path):
    for sequence in ("GOPR0384_11_00", "GOPR0385_11_01"):
        for kind in ("blur", "blur_gamma", "sharp"):
            put(tmp_path / sequence / kind / "000001.png")
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["GOPR0384_11_00/000001", "GOPR0385_11_01/000001"]
    assert all(pair.degraded.parent.name == "blur" for pair in pairs)


def test_sub_folders_of_the_two_folders_are_part_of_the_name(tmp_path):
    put(tmp_path / "input" / "a" / "1.png", tmp_path / "input" / "b" / "1.png")
    put(tmp_path / "target" / "a" / "1.png", tmp_path / "target" / "b" / "1.png")
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["a/1", "b/1"]
    assert [pair.reference.parent.name for pair in pairs] == ["a", "b"]


def test_other_files_are_no_pictures(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "target" / "1.png")
    (tmp_path / "input" / "Thumbs.db").touch()
    (tmp_path / "input" / "notes.txt").touch()
    (tmp_path / "input" / "._1.png").touch()
    assert len(find_pairs(tmp_path)) == 1


def test_one_pair_is_counted_in_the_singular(tmp_path):
    put(*(tmp_path / "input" / f"{k}.png" for k in range(2)), tmp_path / "target" / "1.png")
    with pytest.raises(DataError, match=r"^1 pair by the rule 'same name'"):
        find_pairs(tmp_path)


def test_unpaired_files_are_named_on_both_sides(tmp_path):
    put(*(tmp_path / "input" / f"{k}.png" for k in range(9)))
    put(*(tmp_path / "target" / f"{k}.png" for k in (0, 1, 20)))
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    message = str(caught.value)
    assert "2 pairs by the rule 'same name'" in message
    assert "7 without a reference" in message
    assert str(tmp_path / "input" / "2.png") in message
    assert "and 2 more" in message
    assert f"1 references without a degraded picture: {tmp_path / 'target' / '20.png'}" in message


def test_equal_counts_with_other_names_are_not_paired(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "input" / "2.png")
    put(tmp_path / "target" / "2.png", tmp_path / "target" / "3.png")
    with pytest.raises(DataError, match="1 without a reference"):
        find_pairs(tmp_path)


def test_one_rule_pairs_the_whole_set(tmp_path):
    put(tmp_path / "hazy" / "1_a.png", tmp_path / "hazy" / "2.png")
    put(tmp_path / "gt" / "1.png", tmp_path / "gt" / "2.png")
    with pytest.raises(DataError, match="nothing was computed"):
        find_pairs(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "input" / "1.jpg", tmp_path / "target" / "1.png")
    with pytest.raises(DataError, match="have the same name"):
        find_pairs(tmp_path)


def test_two_possible_folders_are_refused(tmp_path):
    put(tmp_path / "rain" / "1.png", tmp_path / "rainy" / "1.png", tmp_path / "gt" / "1.png")
    with pytest.raises(DataError, match="rain, rainy could all be meant"):
        find_pairs(tmp_path)


def test_several_splits_are_not_mixed(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / split / "input" / "1.png", tmp_path / split / "target" / "1.png")
    with pytest.raises(DataError, match="holds test, train; give one"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path / "test")) == 1


def test_an_empty_and_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="no pairs found; put the pictures into"):
        find_pairs(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no pictures in it"):
        clean_pictures(tmp_path)


def test_match_pairs_by_a_given_rule(tmp_path):
    put(tmp_path / "a" / "x-1.png", tmp_path / "b" / "y-1.png")
    rule = NameRule("x and y", r"x-(.+)", r"y-\1")
    pairs = match_pairs(tmp_path / "a", tmp_path / "b", rule)
    assert joined(pairs) == {"x-1": ("x-1.png", "y-1.png")}
    with pytest.raises(DataError, match="0 pairs by the rule 'same name'"):
        match_pairs(tmp_path / "a", tmp_path / "b", SAME_NAME)


@given(st.text(min_size=1).filter(lambda name: "\n" not in name))
def test_every_stem_is_its_own_partner_by_the_same_name(stem):
    assert SAME_NAME.partner(stem) == stem


def test_rules_have_names_of_their_own():
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_clean_pictures_are_their_own_references(tmp_path):
    put(tmp_path / "b.png", tmp_path / "a.jpg", tmp_path / "below" / "c.png")
    pairs = clean_pictures(tmp_path)
    assert [pair.name for pair in pairs] == ["a", "b"]
    assert all(pair.degraded == pair.reference for pair in pairs)


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "count", "example"),
    [
        ("Rain100L", 100, ("37.webp", "37.webp")),
        ("SOTS_indoor_13", 13, ("1400_1.webp", "1400.webp")),
        ("GoPro_2", 2, None),
        ("PolyU", 50, None),
        ("RainDrop_2", 2, ("0.webp", "0.webp")),
    ],
)
def test_benchmark_copies(folder, count, example):
    root = os.environ.get("RESTOREKIT_TEST_DATA")
    if root is None:
        pytest.skip("RESTOREKIT_TEST_DATA does not name the folder of the benchmark sets")
    pairs = find_pairs(Path(root) / "paired" / folder)
    check_sizes(pairs)
    assert len(pairs) == count
    assert example is None or example in joined(pairs).values()


def test_survey_lists_instead_of_refusing(tmp_path):
    put(tmp_path / "a" / "input" / "1.png", tmp_path / "a" / "target" / "1.png")
    put(tmp_path / "b" / "input" / "2.png", tmp_path / "b" / "target" / "3.png")
    matching = survey(tmp_path)
    assert [pair.name for pair in matching.pairs] == ["a/1"]
    assert {str(finding.problem) for finding in matching.findings} == {
        "without a reference",
        "references without a degraded picture",
    }
    assert not matching.complete


def test_hidden_folders_are_passed_over(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "target" / "1.png")
    put(tmp_path / "input" / ".thumbnails" / "2.png", tmp_path / ".venv" / "target" / "3.png")
    assert joined(find_pairs(tmp_path)) == {"1": ("1.png", "1.png")}
    put(tmp_path / "deep" / ".cache" / "input" / "1.png")
    assert survey(tmp_path / "deep").pairs == ()

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.data.findings import Problem
from restorekit.data.layouts import Layout, find_files, match_layout
from restorekit.errors import DataError
from tests.data.trees import plant


def joined(matching):
    return {pair.name: (pair.degraded.name, pair.reference.name) for pair in matching.pairs}


def problems(matching):
    return [(finding.problem, finding.path.name) for finding in matching.findings]


def test_sequences_with_the_same_frame_names(tmp_path):
    for sequence in ("GOPR0384_11_00", "GOPR0385_11_01"):
        plant(tmp_path, *(f"test/{sequence}/{kind}/000001.png" for kind in ("blur", "sharp")))
        plant(tmp_path, f"test/{sequence}/blur_gamma/000001.png")
    layout = Layout("x", "{split}/{seq}/sharp/{name}", "{split}/{seq}/blur/{name}")
    matching = match_layout(layout.filled("test", 1), tmp_path)
    assert matching.complete
    assert list(joined(matching)) == ["GOPR0384_11_00/000001", "GOPR0385_11_01/000001"]
    assert all(pair.degraded.parts[-3] == pair.reference.parts[-3] for pair in matching.pairs)


def test_many_degraded_pictures_share_a_reference_of_another_suffix(tmp_path):
    plant(tmp_path, "Hazy/0001_0.8_0.2.JPG", "Hazy/0001_0.9_0.16.jpg", "GT/0001.png")
    layout = Layout("x", "gt/{scene}", "hazy/{scene}_{haze}")
    matching = match_layout(layout, tmp_path)
    assert matching.complete
    assert joined(matching) == {
        "0001_0.8_0.2": ("0001_0.8_0.2.JPG", "0001.png"),
        "0001_0.9_0.16": ("0001_0.9_0.16.jpg", "0001.png"),
    }


def test_both_kinds_in_one_folder(tmp_path):
    plant(tmp_path, "01_hazy.png", "01_GT.png", "readme.png")
    matching = match_layout(Layout("x", "{scene}_GT", "{scene}_hazy"), tmp_path)
    assert matching.complete
    assert joined(matching) == {"01_hazy": ("01_hazy.png", "01_GT.png")}


def test_everything_that_does_not_fit_is_named(tmp_path):
    plant(tmp_path, "data/1_rain.png", "data/2_rain.png", "data/odd.png", "data/1_rain.jpg")
    plant(tmp_path, "gt/1_clean.png", "gt/3_clean.png", "data/.hidden.png")
    (tmp_path / "data" / "Thumbs.db").touch()
    matching = match_layout(Layout("x", "gt/{n}_clean", "data/{n}_rain"), tmp_path)
    assert not matching.complete
    assert len(matching.pairs) == 1
    assert problems(matching) == [
        (Problem.SAME_NAME, "1_rain.png"),
        (Problem.STRANGE_NAME, "odd.png"),
        (Problem.NO_REFERENCE, "2_rain.png"),
        (Problem.NO_DEGRADED, "3_clean.png"),
    ]
    assert "also" in str(matching.findings[0])
    assert "needs gt/2_clean" in str(matching.findings[2])


def test_references_of_all_splits_in_one_folder(tmp_path):
    plant(tmp_path, "test/near/1.png", "test/far/2.png", "train/3.png")
    plant(tmp_path, "GT/1.png", "GT/2.png", "GT/3.png")
    layout = Layout("x", "GT/{name}", "{split}/{view}/{name}", shared=True)
    matching = match_layout(layout.filled("test", 1), tmp_path)
    assert matching.complete
    assert sorted(joined(matching)) == ["far/2", "near/1"]


def test_another_layout_is_no_matching(tmp_path):
    plant(tmp_path, "input/1.png")
    assert match_layout(Layout("x", "target/{name}", "input/{name}"), tmp_path) is None
    assert match_layout(Layout("x", "{name}"), tmp_path) is None


# numbers of a camera


NEAR = Layout("x", "target/{shot}", "source/{shot}", near=3)


def test_neighbouring_numbers_are_pairs(tmp_path):
    plant(tmp_path, "source/1P0A0917.png", "source/1P0A0920.png", "source/1P0A1002.png")
    plant(tmp_path, "target/1P0A0916.png", "target/1P0A0922.png", "target/1P0A1002.png")
    matching = match_layout(NEAR, tmp_path)
    assert matching.complete
    assert sorted(joined(matching).values()) == [
        ("1P0A0917.png", "1P0A0916.png"),
        ("1P0A0920.png", "1P0A0922.png"),
        ("1P0A1002.png", "1P0A1002.png"),
    ]


def test_equal_counts_are_not_enough_for_numbers(tmp_path):
    plant(tmp_path, "source/10.png", "source/20.png", "target/12.png", "target/30.png")
    matching = match_layout(NEAR, tmp_path)
    assert list(joined(matching).values()) == [("10.png", "12.png")]
    assert problems(matching) == [
        (Problem.NO_REFERENCE, "20.png"),
        (Problem.NO_DEGRADED, "30.png"),
    ]
    assert "no number within 3 in target/{shot}" in str(matching.findings[0])


def test_dual_pixel_views(tmp_path):
    plant(tmp_path, "l/0917_L.png", "r/0917_R.png", "l/0930_L.png", "t/0916.png", "t/0931.png")
    layout = Layout("x", "t/{shot}", "l/{shot}", second="r/{shot}", near=3)
    matching = match_layout(layout, tmp_path)
    (pair,) = matching.pairs
    assert (pair.degraded.name, pair.second.name) == ("0917_L.png", "0917_R.png")
    assert problems(matching)[0] == (Problem.NO_REFERENCE, "0930_L.png")


@given(st.sets(st.integers(0, 40), min_size=1, max_size=8).map(lambda k: sorted(20 * n for n in k)))
def test_every_number_finds_its_neighbour(numbers):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            for name in (f"source/{number + 1}.png", f"target/{number}.png"):
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.touch()
        matching = match_layout(NEAR, Path(folder))
        found = {int(p.degraded.stem): int(p.reference.stem) for p in matching.pairs}
        assert found == {number + 1: number for number in numbers}


# list files


LISTED = Layout("x", list_file="test_list.txt", reference_first=True)


def test_a_list_file_names_the_pairs(tmp_path):
    plant(tmp_path, *(f"J/scene{n}/{k}/{k}_1.png" for n in (1, 2) for k in ("gt", "blur")))
    lines = [f"J/scene{n}/gt/gt_1.png /J/scene{n}/blur/blur_1.png" for n in (1, 2)]
    (tmp_path / "test_list.txt").write_text("\n".join(lines) + "\n\n")
    matching = match_layout(LISTED, tmp_path)
    assert matching.complete
    assert joined(matching) == {f"scene{n}/blur/blur_1": ("blur_1.png", "gt_1.png") for n in (1, 2)}


def test_files_of_the_list_that_are_not_there(tmp_path):
    plant(tmp_path, "a/gt.png", "a/blur.png")
    (tmp_path / "test_list.txt").write_text("a/gt.png a/blur.png\nb/gt.png a/blur.png\n")
    matching = match_layout(LISTED, tmp_path)
    assert len(matching.pairs) == 1
    assert problems(matching) == [(Problem.NO_FILE, "gt.png")]
    assert "line 2" in str(matching.findings[0])


def test_a_list_file_that_is_none(tmp_path):
    (tmp_path / "test_list.txt").write_text("a/gt.png\n")
    with pytest.raises(DataError, match=r"test_list.txt, line 1: 'a/gt.png' is not two paths"):
        match_layout(LISTED, tmp_path)
    (tmp_path / "test_list.txt").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(DataError, match="cannot be read as a list of paths"):
        match_layout(LISTED, tmp_path)


# templates


def test_fields_are_as_short_as_possible_and_within_one_name(tmp_path):
    plant(tmp_path, "a/1_2_3.png", "a/b/4_5.png")
    (found,) = find_files(tmp_path, "a/{scene}_{rest}")
    assert found.fields == {"scene": "1", "rest": "2_3"}
    assert found.name == "1_2_3"


def test_signs_of_regular_expressions_are_plain_text(tmp_path):
    plant(tmp_path, "# a (b)/x+1.png", "# a (b)/xx1.png")
    (found,) = find_files(tmp_path, "# a (b)/x+{n}")
    assert found.path.name == "x+1.png"


def test_a_suffix_in_the_template_finds_files_that_are_no_pictures(tmp_path):
    for name in ("0001.mat", "0002.txt"):
        (tmp_path / name).touch()
    assert [found.name for found in find_files(tmp_path, "{n}.mat")] == ["0001.mat"]


def test_layouts_say_how_the_folders_must_look():
    assert str(Layout("x", "gt/{n}", "hazy/{n}_{k}")) == "hazy/{n}_{k} with gt/{n}"
    assert str(Layout("x", "{name}")) == "{name}"
    assert "l/{n} and r/{n} with t/{n}" in str(Layout("x", "t/{n}", "l/{n}", second="r/{n}"))
    assert str(LISTED) == "test_list.txt, a line: reference degraded"

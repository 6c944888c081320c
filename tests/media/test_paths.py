"""Inputs to sources, sources to jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.errors import UsageError
from restorekit.media.paths import Source, collect, plan_jobs, without_outputs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder `photos` in the working directory."""
    monkeypatch.chdir(tmp_path)
    names = ["10.jpg", "9.JPG", "a.png", ".hidden.jpg", "notes.txt", "Thumbs.db", "sub/b.tif"]
    names += ["sub/deep/c.webp", ".trash/d.jpg", "sub/.e/f.jpg"]
    for name in names:
        touched(Path("photos", name))
    Path("photos/folder.png").mkdir()
    return tmp_path


def touched(path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names_of(sources):
    return [str(source.path) for source in sources]


def planned(inputs, output=None, recursive=False, **options):
    jobs = plan_jobs(collect(inputs, recursive=recursive), output, **options)
    return [(str(job.source), str(job.destination)) for job in jobs]


def test_no_heavy_import():
    code = (
        "import sys, restorekit.media.paths;"
        "sys.exit(bool({'torch', 'cv2', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestCollect:
    def test_a_folder_in_natural_order_without_hidden_ones(self, tree):
        assert names_of(collect(["photos"])) == ["photos/9.JPG", "photos/10.jpg", "photos/a.png"]

    def test_recursion(self, tree):
        found = collect(["photos/"], recursive=True)
        assert [str(source.relative) for source in found] == [
            *("9.JPG", "10.jpg", "a.png", "sub/b.tif", "sub/deep/c.webp")
        ]

    def test_a_file_is_taken_whatever_its_suffix(self, tree):
        assert collect(["photos/Thumbs.db"]) == [Source(Path("photos/Thumbs.db"))]
        assert names_of(collect(["photos/.hidden.jpg"])) == ["photos/.hidden.jpg"]

    def test_a_glob_is_mirrored_from_its_fixed_part(self, tree):
        (found,) = collect(["photos/**/c.*"])
        assert found == Source(Path("photos/sub/deep/c.webp"), Path("photos"))
        assert names_of(collect(["photos/*.jpg"])) == ["photos/10.jpg"]
        assert names_of(collect([str(tree / "photos" / "[0-9]*")])) == [
            *(str(tree / "photos/9.JPG"), str(tree / "photos/10.jpg"))
        ]

    def test_a_name_with_brackets_is_a_name_first(self, tree):
        touched("a[1].jpg")
        assert names_of(collect(["a[1].jpg"])) == ["a[1].jpg"]

    def test_a_list_file(self, tree):
        Path("list.txt").write_text("\ufeff# mine\nphotos/a.png\n\n  photos/sub \nphotos/1*.jpg\n")
        found = collect(["list.txt"])
        assert names_of(found) == ["photos/a.png", "photos/sub/b.tif", "photos/10.jpg"]

    def test_a_missing_line_of_a_list_is_named(self, tree):
        Path("list.txt").write_text("photos/a.png\nphotos/gone.png\n")
        with pytest.raises(UsageError, match=r"list.txt, line 2: photos/gone.png does not exist"):
            collect(["list.txt"])

    @pytest.mark.parametrize("text", ["", "\n# photos/a.png\n  \n"])
    def test_a_list_of_nothing_is_named(self, tree, text):
        Path("list.txt").write_text(text)
        with pytest.raises(UsageError, match=r"list.txt is a list of no paths"):
            collect(["photos/a.png", "list.txt"])

    def test_a_list_in_a_list_is_no_list(self, tree):
        Path("list.txt").write_text("list.txt\n")
        assert names_of(collect(["list.txt"])) == ["list.txt"]

    def test_a_list_that_is_no_text(self, tree):
        Path("list.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UsageError, match="cannot be read as a list"):
            collect(["list.txt"])

    def test_each_picture_once(self, tree):
        Path("link.jpg").symlink_to("photos/10.jpg")
        found = collect(["photos/10.jpg", "photos", "photos/../photos/a.png", "link.jpg"])
        assert names_of(found) == ["photos/10.jpg", "photos/9.JPG", "photos/a.png"]

    @pytest.mark.parametrize(
        ("item", "words"),
        [
            ("gone.jpg", "gone.jpg does not exist"),
            ("*.jpg", "matches no picture"),
            ("**.jpg", "matches no picture"),
            ("empty", "empty holds no picture .* add --recursive"),
        ],
    )
    def test_what_yields_nothing_is_an_error(self, tree, item, words):
        Path("empty").mkdir()
        with pytest.raises(UsageError, match=words):
            collect(["photos/a.png", item])

    def test_recursion_is_not_advised_twice(self, tree):
        Path("empty").mkdir()
        with pytest.raises(UsageError) as caught:
            collect(["empty"], recursive=True)
        assert "--recursive" not in str(caught.value)

    def test_a_folder_that_cannot_be_listed(self, tree, monkeypatch):
        def denied(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))

        for name in ("os.scandir", "os.listdir"):
            monkeypatch.setattr(name, denied)
        for recursive in (False, True):
            with pytest.raises(UsageError, match="photos cannot be listed: Permission denied"):
                collect(["photos"], recursive=recursive)

    def test_the_home_folder(self, tree, monkeypatch):
        monkeypatch.setenv("HOME", str(tree))
        assert names_of(collect(["~/photos/a.png"])) == [str(tree / "photos/a.png")]

    def test_a_name_that_begins_as_the_home_folder_does(self, tree):
        touched("~$doc.png")
        assert names_of(collect(["./~$doc.png"])) == ["~$doc.png"]
        with pytest.raises(UsageError, match=r"~no-such-user/x.png does not exist"):
            collect(["~no-such-user/x.png"])

    @given(numbers=st.lists(st.integers(0, 10**6), min_size=1, unique=True))
    def test_numbers_count(self, tmp_path_factory, numbers):
        folder = tmp_path_factory.mktemp("numbers")
        for number in numbers:
            (folder / f"frame {number}.png").touch()
        found = [int(source.path.stem.split()[1]) for source in collect([folder])]
        assert found == sorted(numbers)


class TestPlan:
    def test_beside_the_source(self, tree):
        assert planned(["photos/9.JPG"]) == [("photos/9.JPG", "photos/9_restored.JPG")]

    def test_another_ending(self, tree):
        assert planned(["photos/9.JPG"], suffix="_dry")[0][1] == "photos/9_dry.JPG"

    def test_an_output_file(self, tree):
        assert planned(["photos/9.JPG"], "out.png") == [("photos/9.JPG", "out.png")]
        assert planned(["photos/9.JPG"], Path("new/out.TIF"))[0][1] == "new/out.TIF"

    @pytest.mark.parametrize("output", ["out/", "out", "photos/sub", "some.where/"])
    def test_an_output_folder(self, tree, output):
        assert planned(["photos/9.JPG"], output)[0][1] == str(Path(output, "9.JPG"))

    def test_an_existing_folder_with_a_dot(self, tree):
        Path("v1.2").mkdir()
        assert planned(["photos/9.JPG"], "v1.2")[0][1] == "v1.2/9.JPG"

    def test_the_tree_is_mirrored(self, tree):
        assert [job[1] for job in planned(["photos"], "out", recursive=True)] == [
            *("out/9.JPG", "out/10.jpg", "out/a.png", "out/sub/b.tif", "out/sub/deep/c.webp")
        ]

    def test_one_stem_with_two_suffixes(self, tree):
        touched("b/a.jpg")
        jobs = planned(["photos/a.png", "b/a.jpg"], "out/")
        assert [job[1] for job in jobs] == ["out/a.png", "out/a.jpg"]

    def test_a_suffix_that_cannot_be_written_becomes_png(self, tree):
        touched("photo.jfif")
        touched("scan")
        assert planned(["photo.jfif", "scan"]) == [
            *(("photo.jfif", "photo_restored.png"), ("scan", "scan_restored.png"))
        ]
        assert planned(["photo.jfif"], "out/")[0][1] == "out/photo.png"

    def test_an_existing_output_file_is_for_one(self, tree):
        touched("out.png")
        assert planned(["photos/9.JPG"], "out.png")[0][1] == "out.png"
        with pytest.raises(UsageError, match=r"out.png is one file, but there are 3 pictures"):
            planned(["photos"], "out.png")

    def test_an_existing_file_without_suffix_is_no_folder(self, tree):
        touched("out")
        with pytest.raises(UsageError, match="output out ends in ''"):
            planned(["photos"], "out")

    def test_an_output_that_cannot_be_written(self, tree):
        with pytest.raises(UsageError, match=r"ends in '\.gif'.*end it with / to mean a folder"):
            planned(["photos/9.JPG"], "out.gif")

    @pytest.mark.parametrize("names", [("b/a.jpg", "c/a.jpg"), ("b/A.jpg", "c/a.JPG")])
    def test_two_sources_of_one_name_collide(self, tree, names):
        for name in names:
            touched(name)
        with pytest.raises(UsageError, match=r"b/.*c/.* would both be written to out/") as caught:
            planned(names, "out/")
        assert "--recursive" in str(caught.value)

    def test_composed_and_decomposed_letters_collide(self, tree):
        touched("b/é.jpg")
        touched("c/e\u0301.jpg")
        with pytest.raises(UsageError, match="would both be written"):
            planned(["b/é.jpg", "c/e\u0301.jpg"], "out/")

    @pytest.mark.parametrize("output", ["photos/", "photos/a.png", "./photos/sub/../a.png"])
    def test_a_source_is_replaced_only_when_meant(self, tree, output):
        with pytest.raises(UsageError, match=r"would be replaced.*--overwrite"):
            planned(["photos/a.png"], output)
        (job,) = planned(["photos/a.png"], output, overwrite=True)
        assert Path(job[1]).resolve() == Path("photos/a.png").resolve()

    def test_a_link_to_the_source_is_the_source(self, tree):
        Path("link.png").symlink_to("photos/a.png")
        with pytest.raises(UsageError, match="would be replaced"):
            planned(["photos/a.png"], "link.png")

    def test_another_source_is_never_replaced(self, tree):
        touched("in/sub/b.png")
        touched("out/sub/b.png")
        with pytest.raises(UsageError, match=r"over out/sub/b.png, which is still to be read"):
            planned(["in", "out/sub"], "out", recursive=True, overwrite=True)


class TestEarlierOutputs:
    def test_beside_their_originals(self, tree):
        for name in ("a_restored.png", "10_restored.png", "lonely_restored.png"):
            touched(Path("photos", name))
        assert [job[0] for job in planned(["photos"])] == [
            *("photos/9.JPG", "photos/10.jpg", "photos/a.png", "photos/lonely_restored.png")
        ]

    def test_one_that_has_the_whole_name_of_its_original(self, tree):
        touched("photos/a.png_compare.jpg")
        sources = without_outputs(collect(["photos/a*"]), suffix="_compare")
        assert names_of(sources) == ["photos/a.png"]

    def test_one_that_is_named_alone(self, tree):
        touched("photos/a_restored.png")
        assert planned(["photos/a_restored.png"])[0][1] == "photos/a_restored_restored.png"

    def test_below_an_output_folder_within_the_input(self, tree):
        touched("photos/out/9.JPG")
        for output in ("photos/out", str(tree / "photos" / "out")):
            jobs = planned(["photos"], output, recursive=True)
            assert len(jobs) == 5
            assert "photos/out/9.JPG" not in [job[0] for job in jobs]

    def test_what_is_left_out_can_be_asked_for(self, tree):
        touched("photos/a_restored.png")
        sources = collect(["photos"])
        left_out = set(sources) - set(without_outputs(sources))
        assert {source.path.name for source in left_out} == {"a_restored.png"}

    def test_without_an_ending_nothing_is_an_earlier_output(self, tree):
        assert len(planned(["photos"], "out", suffix="")) == 3

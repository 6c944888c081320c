import cv2
import numpy as np
import pytest

from restorekit.degradations.frames import average, draw_spans, find_clips
from restorekit.degradations.manifest import Span, read_manifest
from restorekit.degradations.pairs import make_pairs
from restorekit.degradations.plan import Wish, plan_pairs, replay_pairs
from restorekit.degradations.recipe import Averaging, load_recipe
from restorekit.errors import PictureError, UsageError
from restorekit.events import FileFailed
from restorekit.media.image import read_image, write_image
from restorekit.types import Image

FRAMES = 40


def frame(number):
    """A white square that moves by 2 pixels to the frame."""
    samples = np.full((48, 160, 3), 40, np.uint8)
    samples[16:32, 10 + 2 * number : 26 + 2 * number] = 230
    return samples


@pytest.fixture
def folder(tmp_path):
    for number in range(FRAMES):
        write_image(tmp_path / "frames" / f"{number}.png", Image(frame(number)))
    return tmp_path / "frames"


@pytest.fixture(params=[("clip.mp4", "mp4v"), ("clip.avi", "MJPG")], ids=["mp4", "avi"])
def video(tmp_path, request):
    name, codec = request.param
    path = tmp_path / "in" / name
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 240, (160, 48))
    for number in range(FRAMES):
        writer.write(frame(number))
    writer.release()
    return path


def made(inputs, output, seed=0, workers=1, **wish):
    wish = Wish(load_recipe("gopro-like"), "gopro-like", seed=seed, **wish)
    jobs = plan_pairs(inputs, wish, recursive=False)
    return list(make_pairs(jobs, output, workers=workers))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_of_frames_is_averaged_in_light(folder, tmp_path):
    out = tmp_path / "pairs"
    made([folder], out)
    entries = read_manifest(out / "manifest.jsonl")
    spans = [entry.frames for entry in entries]
    assert [span.first for span in spans[1:]] == [span.first + span.count for span in spans[:-1]]
    assert {span.count for span in spans} <= {7, 9, 11, 13}
    for entry, span in zip(entries, spans, strict=True):
        assert entry.name == f"frames/{span.first + span.count // 2:06d}.png"
        frames = [frame(n) / 255 for n in range(span.first, span.first + span.count)]
        expected = np.mean([f**2.2 for f in frames], axis=0) ** (1 / 2.2)
        degraded = read_image(out / "degraded" / entry.name).pixels
        np.testing.assert_allclose(degraded, 255 * expected, atol=0.51)
        reference = read_image(out / "reference" / entry.name).pixels
        np.testing.assert_array_equal(reference, frame(span.middle))


def test_a_video_gives_pairs_in_any_number_of_processes(video, tmp_path):
    one, three = tmp_path / "1", tmp_path / "3"
    made([video], one)
    made([video], three, workers=3)
    assert files(one) == files(three)
    for entry in read_manifest(one / "manifest.jsonl"):
        reference = read_image(one / "reference" / entry.name).pixels
        error = np.abs(reference.astype(int) - frame(entry.frames.middle)).mean()
        assert error < 4
        assert error < np.abs(reference.astype(int) - frame(entry.frames.middle + 1)).mean()


def test_a_video_replays_to_the_same_bytes(video, tmp_path):
    made([video], tmp_path / "first", seed=3, count=2)
    manifest = tmp_path / "first" / "manifest.jsonl"
    # Backwards, so that the video has to be opened again.
    jobs = replay_pairs(manifest, [video], recursive=False)[::-1]
    assert not any(isinstance(e, FileFailed) for e in make_pairs(jobs, tmp_path / "second"))
    first, second = files(tmp_path / "first"), files(tmp_path / "second")
    del first["manifest.jsonl"], second["manifest.jsonl"]
    assert first == second


def test_another_seed_or_copy_cuts_the_clip_elsewhere():
    spans = [
        draw_spans(Averaging(count=(7, 9, 11, 13)), 400, seed, "clip.mp4", copy)
        for seed, copy in ((0, 0), (1, 0), (0, 1))
    ]
    assert spans[0] != spans[1] != spans[2] != spans[0]


@pytest.mark.parametrize("frames", [7, 8, 12, 100])
def test_no_span_goes_beyond_the_clip(frames):
    for seed in range(30):
        spans = draw_spans(Averaging(count=(7, 9, 11, 13)), frames, seed)
        end = spans[-1].first + spans[-1].count
        assert frames - 7 < end <= frames


def test_a_clip_that_is_too_short_or_broken_is_listed_and_left_out(folder, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    folder.rename(clips / "long")
    (clips / "broken.mp4").write_bytes(b"no video at all")
    for number in range(5):
        write_image(clips / "short" / f"{number}.png", Image(frame(number)))
    wish = Wish(load_recipe("gopro-like"))
    jobs = plan_pairs([clips], wish, recursive=True)
    events = list(make_pairs(jobs, tmp_path / "pairs"))
    failed = {e.source.name: e.error for e in events if isinstance(e, FileFailed)}
    assert set(failed) == {"broken.mp4", "short"}
    assert "no video that OpenCV can read" in failed["broken.mp4"]
    assert "5 are there" in failed["short"]
    assert len(files(tmp_path / "pairs" / "degraded")) >= 3


def test_frames_of_two_sizes_are_refused(tmp_path):
    frames = [np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)] * 2
    with pytest.raises(PictureError, match="not all of one size"):
        average(frames, Span(first=0, count=3, gamma=2.2), tmp_path)


def test_equal_frames_stay_as_they_are_to_the_sample():
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    middle, mean = average([samples] * 7, Span(first=0, count=7, gamma=2.2), "x")
    np.testing.assert_array_equal(middle, samples)
    np.testing.assert_allclose(mean * 65535, samples, atol=0.05)


def test_inputs_without_clips_say_what_is_looked_for(tmp_path):
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(UsageError, match="add --recursive"):
        find_clips([tmp_path / "empty"], recursive=False)
    with pytest.raises(UsageError, match="does not exist"):
        find_clips([tmp_path / "nothing.mp4"], recursive=False)


@pytest.fixture
def clips(tmp_path, monkeypatch):
    for name in ("clips/one/0.png", "clips/two/0.png", "clips/two/deep/0.png"):
        write_image(tmp_path / name, Image(frame(0)))
    for name in ("clips/three.MP4", "clips/notes.md", "clips/lone.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("clips/*", ["one", "three.MP4", "two"]),
        ("clips/t*", ["three.MP4", "two"]),
        ("*/t*", ["clips/three.MP4", "clips/two"]),
        ("clips/**/[od]*", ["one", "two/deep"]),
    ],
)
def test_a_glob_names_clips_from_the_folder_before_its_wildcard(clips, pattern, names):
    assert [clip.relative for clip in find_clips([pattern], recursive=False)] == names


def test_a_glob_is_searched_deeper_when_asked(clips):
    found = find_clips(["clips/*"], recursive=True)
    assert [clip.relative for clip in found] == ["one", "three.MP4", "two", "two/deep"]


def test_a_list_names_clips(clips, tmp_path):
    (tmp_path / "list.txt").write_text("# mine\nclips/two\n\nclips/*.MP4\n")
    found = find_clips(["list.txt", "clips/two"], recursive=False)
    assert [clip.relative for clip in found] == ["two", "three.MP4"]
    (tmp_path / "list.txt").write_text("clips/two\nclips/four\n")
    with pytest.raises(UsageError, match=r"list.txt, line 2: clips/four does not exist"):
        find_clips(["list.txt"], recursive=False)
    (tmp_path / "list.txt").write_text("# none\n")
    with pytest.raises(UsageError, match=r"list.txt is a list of no paths"):
        find_clips(["list.txt"], recursive=False)


def test_a_glob_without_clips_says_what_is_looked_for(clips):
    with pytest.raises(UsageError, match=r"clips/\*.png matches neither videos \(.avi"):
        find_clips(["clips/*.png"], recursive=False)


def test_a_video_is_no_picture(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"clip\.mp4 is a video"):
        plan_pairs([tmp_path / "clip.mp4"], Wish(load_recipe("haze:1"), "haze:1"), recursive=False)

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorekit.data.matching import (
    find_pairs,
)
from restorekit.data.pairs import Pair, at_their_scale, check_sizes, read_pair
from restorekit.errors import DataError


def put(*paths: Path, size: tuple[int, int] = (6, 4)) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def test_different_sizes_are_named(tmp_path):
    for k in range(8):
        put(tmp_path / "input" / f"{k}.png", size=(6, 4))
        put(tmp_path / "target" / f"{k}.png", size=(6, 4) if k < 2 else (6, 5))
    with pytest.raises(DataError) as caught:
        check_sizes(find_pairs(tmp_path))
    assert "differ in size in 6 of 8 pairs" in str(caught.value)
    assert "2 (6x4 and 6x5)" in str(caught.value)
    assert "and 1 more" in str(caught.value)


def test_unreadable_files_are_named(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "input" / "2.png")
    put(tmp_path / "target" / "1.png", tmp_path / "target" / "2.png")
    (tmp_path / "input" / "2.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        check_sizes(find_pairs(tmp_path))
    assert "1 of 2 pairs cannot be read" in str(caught.value)
    assert str(tmp_path / "input" / "2.png") in str(caught.value)


def test_a_turned_tiff_fits_its_upright_reference(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    put(tmp_path / "target" / "1.png", size=(4, 6))
    (tmp_path / "input").mkdir()
    Image.new("RGB", (6, 4)).save(tmp_path / "input" / "1.tif", exif=exif)
    pairs = find_pairs(tmp_path)
    check_sizes(pairs)
    assert [side.shape for side in read_pair(pairs[0])] == [(6, 4, 3)] * 2


def ramp(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.arange(height * width * channels, dtype=np.uint8).reshape(height, width, channels)


def write(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_a_pair_is_read_as_it_is(tmp_path):
    degraded, reference = ramp(4, 6), ramp(4, 6)[::-1].copy()
    pair = Pair(write(tmp_path / "a.png", degraded), write(tmp_path / "b.png", reference), "a")
    read = read_pair(pair)
    np.testing.assert_array_equal(read[0], degraded)
    np.testing.assert_array_equal(read[1], reference)


def test_a_frame_around_the_reference_is_cut_off(tmp_path):
    whole = ramp(10, 12)
    degraded = write(tmp_path / "a.png", ramp(4, 6))
    pair = Pair(degraded, write(tmp_path / "b.png", whole), "a", border=3)
    np.testing.assert_array_equal(read_pair(pair)[1], whole[3:-3, 3:-3])
    bare = Pair(degraded, degraded, "a", border=3)
    assert read_pair(bare)[1].shape == (4, 6, 3)


def test_the_remainder_of_a_larger_reference_is_cut_off(tmp_path):
    whole = ramp(14, 12)
    pair = Pair(
        write(tmp_path / "a.png", ramp(4, 4)), write(tmp_path / "b.png", whole), "a", scale=3
    )
    check_sizes([pair])
    np.testing.assert_array_equal(read_pair(pair)[1], whole[:12, :12])


@pytest.mark.parametrize("size", [(15, 12), (12, 11)])
def test_references_of_another_scale_are_refused(tmp_path, size):
    reference = write(tmp_path / "b.png", ramp(*size))
    pair = Pair(write(tmp_path / "a.png", ramp(4, 4)), reference, "a", scale=3)
    with pytest.raises(DataError, match=rf"4x4 and {size[1]}x{size[0]} at scale 3"):
        read_pair(pair)
    with pytest.raises(DataError, match=r"differ in size in 1 of 1 pairs.*a \(4x4 and"):
        check_sizes([pair])


def test_clean_pictures_are_cut_to_the_scale(tmp_path):
    path = write(tmp_path / "a.png", ramp(9, 7))
    degraded, reference = read_pair(Pair(path, path, "a", scale=4))
    assert degraded.shape == reference.shape == (8, 4, 3)
    with pytest.raises(DataError, match="7x9 at scale 8"):
        check_sizes([Pair(path, path, "a", scale=8)])


def test_the_second_view_adds_three_channels(tmp_path):
    left, right = ramp(4, 6), ramp(4, 6)[:, ::-1].copy()
    paths = [write(tmp_path / f"{k}.png", p) for k, p in (("l", left), ("r", right), ("t", left))]
    pair = Pair(paths[0], paths[2], "l", second=paths[1])
    np.testing.assert_array_equal(read_pair(pair)[0], np.concatenate([left, right], axis=2))
    write(paths[1], ramp(5, 6))
    with pytest.raises(DataError, match="6x4 and 6x5 and 6x4"):
        check_sizes([pair])
    with pytest.raises(DataError, match="differ in size or depth"):
        read_pair(pair)


def test_deep_files_are_read_as_eight_bits_where_the_papers_do(tmp_path):
    import cv2

    deep = np.random.default_rng(0).integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    shallow = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    write(tmp_path / "b.png", ramp(4, 6))
    pair = Pair(path, tmp_path / "b.png", "a", depth=8)
    np.testing.assert_array_equal(read_pair(pair)[0], shallow)
    np.testing.assert_array_equal(read_pair(Pair(path, path, "a"))[0], deep)


@pytest.mark.parametrize(
    ("reference", "scale"), [((24, 16), 4), ((27, 19), 4), ((6, 4), 1), ((7, 4), 1), ((3, 2), 1)]
)
def test_the_scale_of_a_folder_is_read_off_its_first_pair(tmp_path, reference, scale):
    put(tmp_path / "input" / "1.png", tmp_path / "input" / "2.png")
    put(tmp_path / "target" / "1.png", size=reference)
    put(tmp_path / "target" / "2.png", size=(60, 40))
    assert {pair.scale for pair in at_their_scale(find_pairs(tmp_path))} == {scale}


def test_without_a_readable_first_pair_the_scale_stays(tmp_path):
    put(tmp_path / "input" / "1.png", tmp_path / "target" / "1.png")
    (tmp_path / "target" / "1.png").write_bytes(b"")
    assert [pair.scale for pair in at_their_scale(find_pairs(tmp_path))] == [1]

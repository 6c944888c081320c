"""Clips, as video files or as folders of frames, whose successive frames make one exposure."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from restorekit.degradations.base import Picture, to_picture
from restorekit.degradations.manifest import Span, sha256
from restorekit.degradations.recipe import Averaging, generator
from restorekit.errors import PictureError, UsageError
from restorekit.files import at_home
from restorekit.media.image import read_image
from restorekit.media.paths import PICTURE_SUFFIXES, collect, in_glob, in_list, is_glob, is_list
from restorekit.types import Pixels

VIDEO_SUFFIXES = frozenset((".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg"))
_VIDEOS = f"videos ({', '.join(sorted(VIDEO_SUFFIXES))})"


class Video:
    """A video file, decoded forwards only, for seeking is not exact in every format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0
        self._capture = _opened(path)

    def read(self, first: int, count: int) -> Iterator[Pixels]:
        """Yield `count` frames, (H, W, 3) RGB uint8; raises PictureError where they end before."""
        if first < self._next:
            self._capture = _opened(self._path)
            self._next = 0
        while self._next < first:
            self._advance(self._capture.grab())
        for _ in range(count):
            found, frame = self._capture.read()
            self._advance(found)
            yield np.ascontiguousarray(frame[:, :, ::-1])

    def _advance(self, found: bool) -> None:
        if not found:
            raise PictureError(f"{self._path}: has only {self._next} frames that can be read")
        self._next += 1


def _opened(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise PictureError(f"{path}: is no video that OpenCV can read; convert it to .mp4")
    return capture


@lru_cache(maxsize=1)
def _video(path: Path) -> Video:
    """Keep the video open from one span to the next."""
    return Video(path)


@dataclass(frozen=True)
class Clip:
    """A clip by its path and the name of its random numbers."""

    path: Path
    relative: str

    @property
    def stem(self) -> str:
        """Where its pairs go below degraded/ and reference/."""
        return self.relative if self.path.is_dir() else self.relative.rsplit(".", 1)[0]

    def count(self) -> int:
        """Count the frames, by decoding where it is a video; 0 where it cannot be read."""
        if self.path.is_dir():
            return len(_frame_files(self.path))
        capture = cv2.VideoCapture(str(self.path))
        frames = 0
        while capture.grab():
            frames += 1
        return frames

    def read(self, span: Span) -> tuple[Pixels, Picture]:
        """Return the reference, which is the middle frame, and the mean of all in light."""
        return average(self._frames(span), span, self.path)

    def sha256(self, span: Span) -> str:
        """Hash the video, or the hashes of the frames of the span."""
        if not self.path.is_dir():
            return _video_sha256(self.path)
        digest = hashlib.sha256()
        for file in self._files(span):
            digest.update(sha256(file).encode())
        return digest.hexdigest()

    def _frames(self, span: Span) -> Iterator[Pixels]:
        if self.path.is_dir():
            return (read_image(file).pixels for file in self._files(span))
        return _video(self.path).read(span.first, span.count)

    def _files(self, span: Span) -> Sequence[Path]:
        files = _frame_files(self.path)[span.first : span.first + span.count]
        if len(files) < span.count:
            raise PictureError(
                f"{self.path}: {span.count} frames from number {span.first} on are wanted, "
                f"{len(files)} are there"
            )
        return files


@lru_cache(maxsize=64)
def _video_sha256(path: Path) -> str:
    return sha256(path)


@lru_cache(maxsize=64)
def _frame_files(folder: Path) -> tuple[Path, ...]:
    return tuple(source.path for source in collect([folder]))


def average(frames: Iterable[Pixels], span: Span, path: Path) -> tuple[Pixels, Picture]:
    """Average light: the mean of the samples to the power of `gamma`, to the power of 1 / `gamma`.

    Returns the middle frame as it is and the mean, float32. Raises PictureError, which names the
    path, where the frames are not of one size, depth and number of channels.
    """
    total: Picture | None = None
    middle: Pixels | None = None
    for number, frame in enumerate(frames):
        if number == span.count // 2:
            middle = frame
        light = _light(frame, span.gamma)
        if total is None:
            total, dtype = light, frame.dtype
        elif total.shape != light.shape or dtype != frame.dtype:
            raise PictureError(f"{path}: its frames are not all of one size, depth and colour")
        else:
            total += light
    if total is None or middle is None:
        raise PictureError(f"{path}: has fewer than {span.count} frames")
    return middle, (total / np.float32(span.count)) ** np.float32(1 / span.gamma)


def _light(frame: Pixels, gamma: float) -> Picture:
    if not np.issubdtype(frame.dtype, np.integer):
        return to_picture(frame) ** np.float32(gamma)
    values = np.arange(np.iinfo(frame.dtype).max + 1).astype(frame.dtype)
    return (to_picture(values).astype(np.float64) ** gamma).astype(np.float32)[frame]


def find_clips(inputs: Sequence[Path | str], *, recursive: bool) -> list[Clip]:
    """List the videos and the folders of frames that files, folders, globs and list files name.

    A folder that holds pictures is a clip; its pictures in natural order are the frames. With
    `recursive` the folders below are searched, too. Globs and `.txt` lists are read as `collect`
    reads them. Raises UsageError where there is none.
    """
    clips: dict[Path, Clip] = {}
    for item in inputs:
        for clip in _expand(item, recursive):
            clips.setdefault(clip.path.resolve(), clip)
    return list(clips.values())


def _expand(item: Path | str, recursive: bool, is_listed: bool = False) -> Iterable[Clip]:
    path = at_home(item)
    if path.is_dir():
        return _in_one_folder(path, recursive)
    if is_list(path) and not is_listed:
        return in_list(path, lambda line: _expand(line, recursive, is_listed=True))
    if path.exists():
        return [Clip(path, path.name)]
    if is_glob(path):
        return _in_glob(path, recursive)
    raise UsageError(
        f"{path} does not exist; name a video, a folder of frames, a glob or a .txt list"
    )


def _in_one_folder(folder: Path, recursive: bool) -> list[Clip]:
    if found := _in_folder(folder, recursive):
        return found
    hint = "" if recursive else "; add --recursive to look below it"
    raise UsageError(f"{folder} holds neither {_VIDEOS} nor frames{hint}")


def _in_glob(pattern: Path, recursive: bool) -> list[Clip]:
    fixed, paths = in_glob(pattern)
    clips = []
    for path in sorted(paths):
        if path.is_dir():
            clips += _in_folder(path, recursive, fixed)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            clips.append(Clip(path, path.relative_to(fixed).as_posix()))
    if not clips:
        raise UsageError(f"{pattern} matches neither {_VIDEOS} nor folders that hold frames")
    return clips


def _in_folder(folder: Path, recursive: bool, root: Path | None = None) -> list[Clip]:
    """Find the clips in a folder; they are named below `root`, which is the folder unless given."""
    root = folder if root is None else root
    folders = [folder]
    if recursive:
        below = (path for path in folder.rglob("*") if path.is_dir())
        hidden = (path for path in below if not _is_hidden(path.relative_to(folder)))
        folders += sorted(hidden)
    clips = []
    for place in folders:
        files = [file for file in sorted(place.iterdir()) if not file.name.startswith(".")]
        clips += [
            Clip(file, file.relative_to(root).as_posix())
            for file in files
            if file.suffix.lower() in VIDEO_SUFFIXES
        ]
        if any(file.suffix.lower() in PICTURE_SUFFIXES for file in files):
            name = place.resolve().name if place == root else place.relative_to(root).as_posix()
            clips.append(Clip(place, name))
    return clips


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def draw_spans(averaging: Averaging, frames: int, seed: int, *keys: str | int) -> list[Span]:
    """Cut a clip of so many frames into successive spans of drawn lengths.

    What is left at the end is not used. A clip that is too short gets one span, which fails when
    it is read.
    """
    spans: list[Span] = []
    first = 0
    while possible := [count for count in averaging.count if first + count <= frames]:
        rng = generator(seed, *keys, first, "frames")
        count = possible[int(rng.integers(len(possible)))]
        spans.append(Span(first=first, count=count, gamma=averaging.gamma))
        first += count
    return spans or [Span(first=0, count=min(averaging.count), gamma=averaging.gamma)]

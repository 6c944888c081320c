"""What pairs there will be: every chain drawn, and all that can be checked, before work starts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from restorekit.degradations.base import MapName
from restorekit.degradations.frames import VIDEO_SUFFIXES, Clip, draw_spans, find_clips
from restorekit.degradations.manifest import Entry, Span, operations_of, read_manifest, sha256
from restorekit.degradations.recipe import Averaging, Recipe, scale_of
from restorekit.degradations.steps import Chain
from restorekit.errors import DataError, UsageError
from restorekit.files import at_home
from restorekit.media.paths import PICTURE_SUFFIXES, Source, collect

SHOWN = 5
"""So many names are listed in a message."""


@dataclass(frozen=True)
class PairJob:
    """A picture, or a span of a clip, to degrade: where it lies, what it is called, its chain."""

    path: Path
    source: str
    """Its path below the folder that was given."""
    copy_number: int
    seed: int
    chain: Chain
    recipe: str = ""
    recipe_sha256: str = ""
    frames: Span | None = None
    depth: Path | None = None
    save: tuple[MapName, ...] = ()
    promised: Mapping[str, str] = field(default_factory=dict)
    """On a replay the files that the manifest lists, with their hashes."""
    reference: Chain = ()
    """What makes the reference of the picture."""

    @property
    def key(self) -> str:
        """The name of its random numbers."""
        return self.source if self.frames is None else _key(self.source, self.frames)

    @property
    def name(self) -> str:
        """Where the pair goes below degraded/ and reference/."""
        suffix = f"_{self.copy_number}" if self.copy_number else ""
        if self.frames is None:
            return f"{self.source.rsplit('.', 1)[0]}{suffix}.png"
        return f"{_key(Clip(self.path, self.source).stem, self.frames)}{suffix}.png"

    def source_sha256(self) -> str:
        """Hash the picture or the clip as it is now."""
        if self.frames is None:
            return sha256(self.path)
        return Clip(self.path, self.source).sha256(self.frames)

    def makes(self, entry: Entry) -> bool:
        """Whether a line of a manifest is about this very pair."""
        said = (entry.source, entry.copy_number, entry.seed, entry.frames, entry.save, entry.name)
        mine = (self.source, self.copy_number, self.seed, self.frames, self.save, self.name)
        done = (entry.reference or (), entry.operations)
        return said == mine and done == (operations_of(self.reference), operations_of(self.chain))


def _key(clip: str, span: Span) -> str:
    return f"{clip}/{span.middle:06d}"


@dataclass(frozen=True)
class Wish:
    """What is to be made of the inputs."""

    recipe: Recipe
    name: str = ""
    """Of the recipe, for the manifest."""
    seed: int = 0
    count: int = 1
    """Degraded copies of each picture or clip."""
    save: tuple[MapName, ...] = ()
    depths: Path | None = None
    """A folder of depth maps with the stems of the pictures."""


def plan_pairs(inputs: Sequence[Path | str], wish: Wish, *, recursive: bool) -> list[PairJob]:
    """Draw the chains of all copies of each picture, or of all spans of each clip.

    Raises UsageError for inputs that do not exist, pictures that would share a name, such as a.jpg
    and a.png, missing depth maps, names that are no text, and a recipe that ends at another size
    than it should.
    """
    averaging = wish.recipe.frames
    if averaging is None:
        _refuse_videos(inputs, wish.name)
        jobs = _of_pictures(collect(inputs, recursive=recursive), wish)
    elif wish.depths is not None:
        raise UsageError(f"{wish.name} averages frames of clips, which takes no depth maps")
    else:
        jobs = _of_clips(find_clips(inputs, recursive=recursive), wish, averaging)
    for job in jobs:
        scale_of(job.chain)
    if wish.depths is not None and not any(d.takes_depth for job in jobs for _, d in job.chain):
        raise UsageError(f"no step of {wish.name} takes a depth map; leave --depth out")
    _refuse_nameless(jobs)
    _refuse_collisions(jobs)
    _refuse_shared_maps(jobs)
    return jobs


def _refuse_videos(inputs: Iterable[Path | str], recipe: str) -> None:
    for path in map(Path, inputs):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            raise UsageError(
                f"{path} is a video, and {recipe or 'the recipe'} degrades pictures; a recipe with "
                "[frames], such as gopro-like, makes pairs of a video"
            )


def _of_pictures(sources: Sequence[Source], wish: Wish) -> list[PairJob]:
    depths = _depth_maps(sources, wish.depths) if wish.depths is not None else {}
    digest = wish.recipe.sha256
    return [
        PairJob(
            source.path,
            name,
            copy,
            wish.seed,
            wish.recipe.draw(wish.seed, name, copy),
            wish.name,
            digest,
            depth=depths.get(name),
            save=wish.save,
            reference=wish.recipe.draw_reference(wish.seed, name, copy),
        )
        for source, name in ((source, source.relative.as_posix()) for source in sources)
        for copy in range(wish.count)
    ]


def _of_clips(clips: Sequence[Clip], wish: Wish, averaging: Averaging) -> list[PairJob]:
    jobs = []
    digest = wish.recipe.sha256
    for clip in clips:
        frames = clip.count()
        for copy in range(wish.count):
            for span in draw_spans(averaging, frames, wish.seed, clip.relative, copy):
                chain = wish.recipe.draw(wish.seed, _key(clip.relative, span), copy)
                jobs.append(
                    PairJob(
                        clip.path,
                        clip.relative,
                        copy,
                        wish.seed,
                        chain,
                        wish.name,
                        digest,
                        span,
                        save=wish.save,
                    )
                )
    return jobs


def _depth_maps(sources: Sequence[Source], folder: Path) -> dict[str, Path]:
    """Find the map of every picture, by its relative path and whatever the suffix."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder of the depth maps")
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
    }
    names = {source.relative.as_posix(): source for source in sources}
    stems = {name: PurePosixPath(name).with_suffix("").as_posix() for name in names}
    missing = [name for name in names if stems[name] not in found]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise UsageError(
            f"{folder}: holds no depth map for {', '.join(missing[:SHOWN])}{more}; "
            "nothing was written: add maps of the same names"
        )
    return {name: found[stem] for name, stem in stems.items()}


def _refuse_nameless(jobs: Iterable[PairJob]) -> None:
    """The manifest is text."""
    for name in (name for job in jobs for name in (job.source, job.recipe)):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{name!a}: is a name that is no UTF-8 text, which the manifest cannot hold; "
                "nothing was written: rename it"
            ) from None


def _refuse_collisions(jobs: Iterable[PairJob]) -> None:
    taken: dict[str, PairJob] = {}
    for job in jobs:
        other = taken.setdefault(job.name.lower(), job)
        if other is not job:
            raise UsageError(
                f"{job.path} and {other.path} would both become {job.name}; rename one of them"
            )


def _refuse_shared_maps(jobs: Iterable[PairJob]) -> None:
    """The second map of a.png is named as the first of a.2.png."""
    saved = {job.name.lower(): job for job in jobs if job.save}
    for name, job in saved.items():
        for number in range(2, len(job.chain) + 1):
            shared = f"{name.removesuffix('.png')}.{number}.png"
            if shared in saved:
                raise UsageError(
                    f"a map of {job.path} and one of {saved[shared].path} would both become "
                    f"{shared.removesuffix('.png')}; rename one of them, or leave --save out"
                )


def replay_pairs(
    manifest: Path,
    inputs: Sequence[Path | str],
    *,
    recursive: bool,
    depths: Path | None = None,
) -> list[PairJob]:
    """Read a manifest and find its pictures or clips among the inputs, with the hashes they had.

    Raises UsageError or DataError before any work for a manifest of another version, an input that
    is missing and one that is not what the manifest was made from.
    """
    entries = read_manifest(manifest)
    found: Mapping[str, Path]
    maps: Mapping[str, Path] = {}
    if any(entry.frames for entry in entries):
        found = {clip.relative: clip.path for clip in find_clips(inputs, recursive=recursive)}
    else:
        sources = collect(inputs, recursive=recursive)
        found = {source.relative.as_posix(): source.path for source in sources}
        wanted = {entry.source for entry in entries if entry.depth_sha256}
        maps = _maps_again(sources, wanted, manifest, depths)
    jobs = []
    for number, entry in enumerate(entries, 1):
        if entry.source not in found:
            raise DataError(f"{manifest}, line {number}: {entry.source} is not among the inputs")
        jobs.append(_again(entry, found[entry.source], maps.get(entry.source)))
    _require_hashes(jobs, entries, manifest)
    return jobs


def _maps_again(
    sources: Sequence[Source], wanted: set[str], manifest: Path, folder: Path | None
) -> Mapping[str, Path]:
    if not wanted:
        return {}
    if folder is None:
        raise UsageError(f"{manifest}: was made with depth maps; name their folder with --depth")
    return _depth_maps([s for s in sources if s.relative.as_posix() in wanted], folder)


def _again(entry: Entry, path: Path, depth: Path | None) -> PairJob:
    return PairJob(
        path,
        entry.source,
        entry.copy_number,
        entry.seed,
        entry.chain,
        entry.recipe,
        entry.recipe_sha256,
        entry.frames,
        depth if entry.depth_sha256 else None,
        entry.save,
        entry.files,
        entry.reference_chain,
    )


def _require_hashes(jobs: Sequence[PairJob], entries: Sequence[Entry], manifest: Path) -> None:
    known: dict[tuple[Path, Span | None], str] = {}
    for job, entry in zip(jobs, entries, strict=True):
        place = (job.path, job.frames)
        if place not in known:
            known[place] = job.source_sha256()
        if known[place] != entry.source_sha256:
            raise DataError(f"{job.path}: is not the picture that {manifest} was made from")
        if job.depth is not None and sha256(job.depth) != entry.depth_sha256:
            raise DataError(f"{job.depth}: is not the depth map that {manifest} was made with")


def refuse_output_inside(output: Path, inputs: Iterable[Path | str]) -> None:
    """Raise UsageError where the pairs would lie in a folder that they are made from."""
    place = output.resolve()
    for folder in map(at_home, inputs):
        if folder.is_dir() and place.is_relative_to(folder.resolve()):
            raise UsageError(
                f"output {output} lies in the input folder {folder}, so that a second run would "
                "degrade the pairs; choose a folder beside it"
            )

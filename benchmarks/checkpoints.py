"""Make docs/checkpoints.md: what the embedded checkpoints reach, beside what needs no training.

    python benchmarks/checkpoints.py SETS [TASK ...] [--work DIR] [--resume] [--slow] [--pictures N]

Every number is one of `restorekit eval`, and the page has the commands. SETS is the folder with
eval/ and paired/; what is degraded here and the reports go to DIR. A task without an embedded
checkpoint has no table. With tasks only theirs are measured; a task that DIR does not have all
reports of keeps the table that the page had.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from restorekit.backends.card import Card, read_card
from restorekit.backends.hub import embedded
from restorekit.metrics.protocols import get_protocol

PAGE = Path(__file__).parents[1] / "docs" / "checkpoints.md"
KODAK = "eval/Kodak24_full"
SLOW = ("bm3d",)
"""Baselines that take more than a few seconds for a megapixel."""
DENOISERS = ("gaussian", "median", "bilateral", "nl-means", "wavelet", "bm3d")
ENLARGERS = ("bicubic", "lanczos", "back-projection")
HEAD = """# Embedded checkpoints

Made by `python benchmarks/checkpoints.py SETS`; no number on this page is typed by hand.

- PSNR in dB and SSIM are means over the pictures of a set in its protocol (`restorekit metrics
  protocols`). **Bold** are the checkpoints that ship; the others restore without any training, with
  their default settings.
- **gain** is over the degraded picture, in `sr` over bicubic; **least gain** is that of the picture
  that gains least, so that a negative one tells how much a picture was made worse.
- **published**: PSNR as papers print it for the whole set in the same protocol, of
  `restorekit/evaluation/published.toml`, which also says what each net was trained on; `*` was
  written down from memory of its source.
"""


@dataclass(frozen=True)
class Row:
    """One set in one protocol, and what is measured on it beside the checkpoints of the task."""

    task: str
    name: str
    """Of the row and of its report; of the set too where that is made here."""
    source: str
    """Folder below SETS, of pictures or of pairs."""
    protocol: str
    baselines: tuple[str, ...] = ()
    known: str = ""
    """Its name in `restorekit datasets list`; empty where it is measured as a folder."""
    recipe: str = ""
    """Makes the degraded pictures: a preset, or the text of a TOML file."""
    skip: int = 0
    """So many of the source's first pictures by name are left out."""
    note: str = ""

    @property
    def scale(self) -> int:
        return get_protocol(self.protocol).scale


def noisy(source: str, known: str) -> Iterator[Row]:
    for sigma in (15, 25, 50):
        name, protocol = f"{known}-sigma{sigma}", f"awgn-sigma{sigma}"
        yield Row("denoise", name, source, protocol, DENOISERS, known)


def compressed(source: str, name: str) -> Iterator[Row]:
    for quality in (10, 20, 30, 40):
        recipe = f'[[steps]]\nop = "jpeg"\nquality = {quality}\nsubsampling = "4:2:0"\n'
        baselines = ("gaussian", "bilateral", "nl-means")
        yield Row("dejpeg", f"{name}-q{quality}", source, "rgb", baselines, recipe=recipe)


def reduced(known: str) -> Iterator[Row]:
    for scale in (2, 4):
        protocol = f"srgan-y-crop{scale}"
        yield Row("sr", f"{known}-x{scale}", f"eval/{known}", protocol, ENLARGERS, known)


def made(task: str, recipe: str, *baselines: str) -> Row:
    name = f"Kodak24-{recipe.replace(':', '-')}"
    return Row(task, name, KODAK, "rgb", baselines, recipe=recipe, note=f"made by `{recipe}`")


ROWS = (
    *noisy("eval/CBSD68", "CBSD68"),
    *noisy(KODAK, "Kodak24-full"),
    Row(
        "denoise",
        "PolyU-last-25",
        "paired/PolyU",
        "rgb",
        DENOISERS,
        skip=25,
        note="real noise; its first 25 may be trained on",
    ),
    *compressed("eval/classic5_gray", "classic5"),
    *compressed(KODAK, "Kodak24"),
    *reduced("Set5"),
    *reduced("Set14"),
    Row("derain", "Rain100L", "paired/Rain100L", "rain-y-matlab", ("guided-filter",), "Rain100L"),
    Row("raindrop", "RainDrop_2", "paired/RainDrop_2", "raindrop-y", ("median",)),
    made("raindrop", "raindrop", "median"),
    Row(
        "dehaze",
        "SOTS_indoor_13",
        "paired/SOTS_indoor_13",
        "sots-rgb",
        ("dark-channel",),
        note="13 of the 500 of SOTS-Indoor",
    ),
    Row(
        "deblur",
        "GoPro_2",
        "paired/GoPro_2",
        "gopro-matlab",
        ("richardson-lucy", "wiener"),
        note="means of real frames of GoPro, not its own blurred files",
    ),
    made("deblur", "camera-shake:2", "richardson-lucy", "wiener"),
    made("desnow", "snow-m", "median"),
    made("defocus", "defocus-dpdd-like", "richardson-lucy", "wiener"),
    made("lowlight", "lowlight"),
    made("descratch", "scratches", "median"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="folder with eval/ and paired/")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="all where none is given")
    parser.add_argument("--work", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--resume", action="store_true", help="measure nothing again")
    parser.add_argument("--slow", action="store_true", help=f"also {', '.join(SLOW)}")
    parser.add_argument("--pictures", type=int, help="the first N of each set; page in --work")
    options = parser.parse_args()
    few = options.pictures
    work = (options.work / f"first-{few}" if few else options.work).resolve()
    workplace = Workplace(options.sets.resolve(), work, few, options.resume, options.slow)
    for row in ROWS:
        if checkpoints(row) and row.task in (options.tasks or [row.task]):
            workplace.measure(row)
    output = work / PAGE.name if few else PAGE
    before = output.read_text(encoding="utf-8") if output.is_file() else ""
    output.write_text(page(workplace, before), encoding="utf-8")
    print(output)


def checkpoints(row: Row) -> list[str]:
    """The embedded checkpoints of the row's task and scale, by name."""
    cards = map(read_card, embedded())
    return [card.name for card in cards if suits(card, row)]


def suits(card: Card, row: Row) -> bool:
    return card.task == row.task and card.scale == row.scale


@dataclass(frozen=True)
class Workplace:
    """Where sets are found, and made ones and reports are kept."""

    sets: Path
    work: Path
    pictures: int | None
    """So many of each set; None for all."""
    resume: bool
    slow: bool

    def measure(self, row: Row) -> None:
        """Run the commands of a row."""
        self.work.mkdir(parents=True, exist_ok=True)
        if self._is_part(row):
            link_part(self.sets / row.source, self.source(row), row.skip, self.pictures)
        if is_toml(row.recipe):
            self._recipe(row).write_text(row.recipe)
        for command in self.commands(row):
            resumed = ["--resume"] if self.resume or command[0] == "degrade" else []
            subprocess.run([sys.executable, "-m", "restorekit", *command, *resumed], check=True)

    def report(self, row: Row) -> Path:
        return self.work / f"{row.name}.json"

    def commands(self, row: Row) -> list[list[str]]:
        """What makes the pairs of a row, where they are made, and what measures them."""
        source, made = str(self.source(row)), str(self.work / row.name)
        recipe = str(self._recipe(row)) if is_toml(row.recipe) else row.recipe
        degrade = ["degrade", source, "-o", made, "--recipe", recipe, "--seed", "0"]
        if row.known:
            pairs = ["--dataset", row.known, "--data-root", str(self.source(row).parent)]
        else:
            pairs = ["--dataset", made if row.recipe else source]
        models = [word for name in checkpoints(row) for word in ("--model", name)]
        baselines = [word for name in self._baselines(row) for word in ("--baseline", name)]
        report = ["--protocol", row.protocol, "--report", str(self.report(row))]
        return [*([degrade] if row.recipe else []), ["eval", *pairs, *models, *baselines, *report]]

    def shown(self, row: Row) -> Iterator[str]:
        """The commands of a row as anybody would type them."""
        for command in self.commands(row):
            words = shlex.join(["restorekit", *command])
            yield words.replace(str(self.work), "WORK").replace(str(self.sets), "SETS")

    def _baselines(self, row: Row) -> list[str]:
        return [name for name in row.baselines if self.slow or name not in SLOW]

    def _is_part(self, row: Row) -> bool:
        return bool(row.skip or self.pictures)

    def source(self, row: Row) -> Path:
        """The folder of the pictures or pairs that a row starts from."""
        if not self._is_part(row):
            return self.sets / row.source
        folder = row.name if row.skip else Path(row.source).name
        return self.work / "sets" / folder

    def _recipe(self, row: Row) -> Path:
        return self.work / f"{row.name}.toml"


def is_toml(recipe: str) -> bool:
    return "\n" in recipe


def link_part(source: Path, target: Path, skip: int, count: int | None) -> None:
    """Make a folder of links to some of the pictures, by name, of a folder or of its folders."""
    folders = sorted(path for path in source.iterdir() if path.is_dir()) or [source]
    for folder in folders:
        place = target / folder.relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        chosen = sorted(path for path in folder.iterdir() if path.is_file())[skip:][:count]
        for picture in chosen:
            link = place / picture.name
            link.unlink(missing_ok=True)
            link.symlink_to(picture)


def page(workplace: Workplace, before: str = "") -> str:
    """Write the page from the reports that are there, and from the page `before`."""
    text, kept = [HEAD], sections(before)
    for task in dict.fromkeys(row.task for row in ROWS):
        rows = [row for row in ROWS if row.task == task]
        measured = [row for row in rows if workplace.report(row).is_file()]
        if task in kept and measured != rows:
            text.append(kept[task])
        elif measured:
            text += [f"## {task}\n", *table(measured, workplace), *explained(measured, workplace)]
    return "\n".join(text)


def sections(page: str) -> dict[str, str]:
    """What a page has of each task."""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part}" for part in parts}


def table(rows: list[Row], workplace: Workplace) -> Iterator[str]:
    yield "| set | protocol | model | PSNR | SSIM | gain | least gain |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for row in rows:
        (content,) = json.loads(workplace.report(row).read_text())["sets"]
        place = f"| {content['dataset']}, {coverage(content)} | `{row.protocol}` "
        for cells in lines(content):
            yield f"{place}| {cells} |"
            place = "| | "


def coverage(content: dict) -> str:
    """How many pairs of the set were measured."""
    measured = max(result["pairs"] for result in content["results"])
    whole = content["whole_set"] or measured
    counted = str(whole) if measured == whole else f"{measured} of {whole}"
    return f"{counted} pair{'' if whole == 1 else 's'}"


def lines(content: dict) -> Iterator[str]:
    """The cells of a set: as it came, without training, checkpoints, and what is published."""
    before = content["degraded"]["mean"]
    if before["psnr"] is not None:
        yield f"as it came | {before['psnr']:.2f} | {before['ssim']:.4f} | |"
    reference = picture_values(content)
    untrained = {result["model"] for result in content["results"]} - trained()
    for result in sorted(content["results"], key=lambda result: result["model"] not in untrained):
        bold = "" if result["model"] in untrained else "**"
        yield f"{bold}{result['model']}{bold} | {quality(result, reference)}"
    if numbers := published_numbers(content):
        yield f"published: {numbers} | | | |"


def trained() -> set[str]:
    return {read_card(path).name for path in embedded()}


def picture_values(content: dict) -> dict[str, float]:
    """PSNR by picture of what gains are over: of the degraded pictures, or of bicubic in sr."""
    first = content["results"][0]["pictures"]
    if all("psnr" in picture["degraded"] for picture in first):
        return {picture["name"]: float(picture["degraded"]["psnr"]) for picture in first}
    for result in content["results"]:
        if result["model"].startswith("bicubic"):
            return psnr_by_name(result)
    return {}


def psnr_by_name(result: dict) -> dict[str, float]:
    return {each["name"]: float(each["restored"]["psnr"]) for each in result["pictures"]}


def quality(result: dict, reference: dict[str, float]) -> str:
    mean, restored = result["mean"], psnr_by_name(result)
    gains = [value - reference[name] for name, value in restored.items() if name in reference]
    gains = [gain for gain in gains if math.isfinite(gain)]
    gained = f"{sum(gains) / len(gains):+.2f} | {min(gains):+.2f}" if gains else "|"
    return f"{float(mean['psnr']):.2f} | {mean['ssim']:.4f} | {gained}"


def published_numbers(content: dict) -> str:
    """What papers print for the whole set, each net once, the least first."""
    numbers = {}
    for number in content["published"]:
        if number["metric"] == "psnr" and not number["part"]:
            star = "" if number["checked"] else "*"
            numbers.setdefault(number["method"], (number["value"], star))
    ordered = sorted(numbers.items(), key=lambda item: item[1])
    return "; ".join(f"{method} {value:.2f}{star}" for method, (value, star) in ordered)


def explained(rows: list[Row], workplace: Workplace) -> Iterator[str]:
    notes = [f"- {row.name}: {row.note}" for row in rows if row.note]
    yield from ["", *notes] if notes else []
    yield "\n```sh"
    for row in rows:
        if row.skip:
            folder = workplace.source(row).relative_to(workplace.work)
            yield f"# WORK/{folder}: SETS/{row.source} without its first {row.skip} pairs by name"
        if is_toml(row.recipe):
            yield "# WORK/{}.toml: {}".format(row.name, ", ".join(row.recipe.split("\n")[1:-1]))
        yield from workplace.shown(row)
    yield "```\n"


if __name__ == "__main__":
    main()

"""Make docs/images: what the embedded models do to three photographs that no training saw.

    python benchmarks/pictures.py PHOTOS [TASK]... [-o DIR]

PHOTOS is a folder with three wallpapers of Ubuntu Kylin, of which `weights/samples` has crops. Each
is degraded as a whole by the recipe of its scene with the seed 0, restored as a whole, and a piece
of it shown before and after, pixel by pixel.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from restorekit.api import degrade, restore
from restorekit.media.compare import before_after
from restorekit.media.image import read_image, write_image
from restorekit.types import Image, Pixels

IMAGES = Path(__file__).parents[1] / "docs" / "images"
HEIGHT, WIDTH = 200, 250
QUALITY = 85
CITY, HORSE, FLOWER = (
    f"ukui__ukui-wallpapers--{name}.jpg" for name in ("c4c5c3be76", "d6e700bd5a", "fb38f601ec")
)


@dataclass(frozen=True)
class Scene:
    """A task, the photograph, the place of the piece in it and how it is degraded."""

    task: str
    photo: str
    top: int
    left: int
    recipe: str


SCENES = (
    Scene("derain", FLOWER, 0, 180, "rain100l-like"),
    Scene("raindrop", FLOWER, 60, 300, "raindrop"),
    Scene("dehaze", CITY, 80, 600, "haze:4"),
    Scene("desnow", HORSE, 60, 220, "snow-m"),
    Scene("deblur", CITY, 220, 290, "camera-shake:2"),
    Scene("defocus", FLOWER, 90, 300, "depth-defocus:3"),
    Scene("denoise", CITY, 120, 300, "gaussian-noise:3"),
    Scene("dejpeg", CITY, 100, 290, "jpeg:4"),
    Scene("sr", CITY, 220, 290, "classical-x2"),
    Scene("lowlight", HORSE, 60, 220, "low-light:3"),
    Scene("descratch", CITY, 140, 260, "film-scratches:3"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES)
    options = parser.parse_args()
    for scene in SCENES:
        if scene.task in (options.tasks or [scene.task]):
            path = options.output / f"{scene.task}-small.jpg"
            write_image(path, comparison(scene, options.photos), quality=QUALITY)
            print(path)


def comparison(scene: Scene, photos: Path) -> Image:
    photo = read_image(photos / scene.photo).pixels
    degraded = degrade(photo, scene.recipe)
    restored = restore(degraded, task=scene.task)
    scale = len(restored) // len(degraded)
    return before_after(piece(scene, degraded, scale), piece(scene, restored, 1))


def piece(scene: Scene, picture: Pixels, parts: int) -> Image:
    """Cut the piece out of a picture of so many times fewer pixels each way."""
    top, left = scene.top // parts, scene.left // parts
    return Image(picture[top : top + HEIGHT // parts, left : left + WIDTH // parts])


if __name__ == "__main__":
    main()

"""Pictures of pictures: before and after side by side, and sheets of thumbnails."""

from collections.abc import Sequence

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from restorekit.media.color_profile import to_srgb
from restorekit.media.encode import MAX_SIDE, to_pillow
from restorekit.media.formats import Format
from restorekit.types import Image

_WHITE, _INK, _SHADE = (255, 255, 255), (32, 32, 32), (0, 0, 0, 144)
_SMALLEST_FONT = 10
_THUMBNAIL_GAP = 4

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def before_after(degraded: Image, restored: Image) -> Image:
    """Put two pictures side by side, 8-bit sRGB, with a white line between them and labels.

    Each half has the size of the restored picture, or is reduced so that both fit into a JPEG
    file; transparency is laid on white.
    """
    line = max(2, restored.height // 200)
    size = _fitting(restored.width, restored.height, line)
    before, after = (
        half if half.size == size else half.resize(size, PIL.Image.Resampling.LANCZOS)
        for half in (_displayed(degraded), _displayed(restored))
    )
    canvas = PIL.Image.new("RGB", (2 * after.width + line, after.height), _WHITE)
    font = _font(min(after.size) // 24)
    for half, text, left in ((before, "before", 0), (after, "after", after.width + line)):
        canvas.paste(_labelled(half, text, font), (left, 0))
    return Image(np.array(canvas))


def _fitting(width: int, height: int, line: int) -> tuple[int, int]:
    """Return the size of a half, reduced where the two beside the line are more than JPEG holds."""
    limit = MAX_SIDE[Format.JPEG]
    scale = min(1.0, (limit - line) / (2 * width), limit / height)
    return max(1, int(width * scale)), max(1, int(height * scale))


def sheet(rows: Sequence[Sequence[Image]], labels: Sequence[str], height: int) -> Image:
    """Draw rows of thumbnails of one height in columns with a label above each, 8-bit sRGB.

    There has to be one row of one picture. Rows may differ in length and pictures in shape; a
    column is as wide as its widest picture.
    """
    thumbnails = [[_thumbnail(image, height) for image in row] for row in rows]
    font = _font(height // 10)
    count = max([len(labels), *(len(row) for row in rows)])
    titles = [*labels, *[""] * (count - len(labels))]
    widths = [
        max([round(font.getlength(title)), *(r[n].width for r in thumbnails if n < len(r))])
        for n, title in enumerate(titles)
    ]
    step = height + _THUMBNAIL_GAP
    header = _line_height(font) if labels else 0
    lefts = [sum(widths[:n]) + n * _THUMBNAIL_GAP for n in range(count)]
    size = lefts[-1] + widths[-1], header + len(rows) * step - _THUMBNAIL_GAP
    canvas = PIL.Image.new("RGB", size, _WHITE)
    pen = ImageDraw.Draw(canvas)
    for title, left, width in zip(titles, lefts, widths, strict=True):
        pen.text((left + width / 2, header / 2), title, fill=_INK, font=font, anchor="mm")
    for top, row in enumerate(thumbnails):
        for picture, left, width in zip(row, lefts, widths, strict=False):
            canvas.paste(picture, (left + (width - picture.width) // 2, header + top * step))
    return Image(np.array(canvas))


def _displayed(image: Image) -> PIL.Image.Image:
    """Make an 8-bit sRGB picture without transparency."""
    picture = to_pillow(image)
    if image.alpha is None:
        return to_srgb(picture, image.icc)
    opacity = picture.getchannel("A")
    colours = to_srgb(picture.convert("L" if image.is_grey else "RGB"), image.icc)
    return PIL.Image.composite(colours, PIL.Image.new("RGB", colours.size, _WHITE), opacity)


def _thumbnail(image: Image, height: int) -> PIL.Image.Image:
    width = max(1, round(image.width * height / image.height))
    return _displayed(image).resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)


def _labelled(picture: PIL.Image.Image, text: str, font: Font) -> PIL.Image.Image:
    """Write on a dark plate in the upper left corner, unless the picture is too small for it."""
    height = _line_height(font)
    width = round(font.getlength(text)) + height // 2
    if width > picture.width or height > picture.height:
        return picture
    plate = PIL.Image.new("RGBA", (width, height), _SHADE)
    ImageDraw.Draw(plate).text((width / 2, height / 2), text, _WHITE, font=font, anchor="mm")
    labelled = picture.copy()
    labelled.paste(plate.convert("RGB"), (0, 0), plate.getchannel("A"))
    return labelled


def _line_height(font: Font) -> int:
    _, top, _, bottom = font.getbbox("bfgy")
    return round(1.6 * (bottom - top))


def _font(size: int) -> Font:
    return ImageFont.load_default(max(size, _SMALLEST_FONT))

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from restorekit.evaluation.examples import Example
from restorekit.evaluation.page import as_page
from restorekit.evaluation.run import Evaluation
from restorekit.events import FileFailed
from restorekit.media.decode import decode
from tests.evaluation.conftest import pair

EMPTY = {"meta", "img"}


class Page(HTMLParser):
    """The tags of a page; reading it fails where they are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def example(**how: object) -> Example:
    across = np.linspace(0, 200, 50).astype(np.uint8)
    pixels = [np.full((40, 50, 3), across[:, None] + 10 * k, np.uint8) for k in range(4)]
    names = ("degraded", "restored", "reference", "difference")
    result = pair("<1>", 20, 30)
    crops = dict(zip(names, pixels, strict=True))
    return Example("worst", "Rain100L", "a", result, **{**crops, "left": 3, "top": 4, **how})


def test_the_page_is_well_formed_and_needs_nothing_outside_it(evaluations):
    page = Page(as_page(evaluations, [example()]))
    assert not page.all("script")
    assert not page.all("link")
    targets = [tag.get(name, "#") for _, tag in page.tags for name in ("src", "href")]
    assert all(target.startswith(("#", "data:image/webp;base64,")) for target in targets)
    policy = next(tag["content"] for tag in page.all("meta") if "http-equiv" in tag)
    assert policy.startswith("default-src 'none'")
    assert "url(" not in as_page(evaluations)
    assert page.all("html") == [{"lang": "en"}]


def test_links_within_the_page_lead_somewhere(evaluations):
    several = [*evaluations, *(replace(each, dataset="other") for each in evaluations)]
    page = Page(as_page(several))
    places = {tag["id"] for _, tag in page.tags if "id" in tag}
    links = {tag["href"].removeprefix("#") for tag in page.all("a")}
    assert links == {"results", "set0", "set1"}
    assert links <= places
    assert {
        tag["aria-labelledby"] for tag in page.all("section") if "aria-labelledby" in tag
    } <= places


def test_tables_can_be_reached_and_read_without_a_mouse(evaluations):
    page = Page(as_page(evaluations))
    regions = [tag for tag in page.all("div") if tag.get("role") == "region"]
    assert len(regions) == len(page.all("table"))
    assert all(tag["tabindex"] == "0" and tag["aria-label"] for tag in regions)
    assert {tag["scope"] for tag in page.all("th")} == {"col", "row"}
    assert len(page.all("details")) == len(page.all("summary")) == 2


def test_pictures_and_drawings_say_what_they_show(evaluations):
    page = Page(as_page(evaluations, [example()]))
    assert [image["alt"] for image in page.all("img")] == [
        "degraded, picture <1>",
        "restored, picture <1>",
        "reference, picture <1>",
        "difference to the reference, 4 times, picture <1>",
    ]
    drawings = [tag["aria-label"] for tag in page.all("svg")]
    assert "degraded mean 22.50; a mean 27.00; b mean 27.00" in drawings[0]
    assert "a: 1 made worse; b: 0 made worse" in drawings[1]
    assert "worst: <1> PSNR [dB] 20.00 → 30.00, SSIM 0.5000 → 0.7500; crop at 3, 4" in page.text


def test_the_crops_are_in_the_page(evaluations):
    shown = example()
    page = Page(as_page(evaluations, [shown]))
    for tag, pixels in zip(page.all("img"), (shown.degraded, shown.restored), strict=False):
        content = base64.b64decode(tag["src"].partition(",")[2])
        error = decode(content).pixels.astype(int) - pixels
        assert np.abs(error).mean() < 8
        assert (tag["width"], tag["height"]) == ("50", "40")


def test_pictures_restored_elsewhere_have_no_degraded_crop(evaluations):
    page = Page(as_page(evaluations, [example(degraded=None)]))
    assert len(page.all("img")) == 3


def test_a_dot_for_every_picture_and_model(evaluations):
    page = Page(as_page(evaluations))
    assert len(page.all("circle")) == 3 * 2
    assert "1: 30.00" in page.text


def test_a_part_of_a_set_is_marked(evaluations):
    assert 'class="badge whole">2 pairs<' in as_page(evaluations)
    part = [replace(each, whole=100) for each in evaluations]
    assert 'class="badge part">only 2 of 100 pairs<' in as_page(part)


def test_failures_are_named(evaluations):
    failed = (FileFailed(Path("3.png"), "3.png is <cut> off"), FileFailed(Path("4.png"), "no"))
    text = Page(as_page([replace(evaluations[0], failed=failed)])).text
    assert "a: left out, because it failed: 3.png is <cut> off and 1 more" in text


def test_the_best_mean_of_each_metric_is_marked(evaluations):
    better = replace(evaluations[1], pairs=(pair("1", 20, 40), pair("2", 25, 40)))
    cells = re.findall(r'class="n best">([^<]+)<', as_page([evaluations[0], better]))
    assert cells == ["0.7500", "40.00", "0.7500"]
    assert "best" not in re.findall(r"<td class=\"([^\"]+)\"", as_page(evaluations[:1]))


def test_names_cannot_break_the_page(evaluations):
    odd = replace(evaluations[0], model="<b>&\"'", dataset="</main>")
    page = Page(as_page([odd]))
    assert "<b>&\"'" in page.text
    assert not page.all("b")


def test_infinite_values_and_nothing_at_all_can_be_drawn(evaluations):
    perfect = replace(evaluations[0], pairs=(pair("1", 20, float("inf")),))
    nothing = Evaluation("c", "Rain100L", evaluations[0].protocol, ())
    page = Page(as_page([perfect, nothing]))
    assert len(page.all("circle")) == 1
    assert "inf" in page.text


@pytest.mark.parametrize("value", [0.0, 30.0])
def test_equal_values_can_be_drawn(evaluations, value):
    flat = replace(evaluations[0], pairs=(pair("1", value, value), pair("2", value, value)))
    places = {tag["cx"] for tag in Page(as_page([flat])).all("circle")}
    assert len(places) == 1


def test_dots_stay_inside_the_drawing(evaluations):
    many = tuple(pair(str(k), 20 + k % 3 / 100, 30 + (k * 7919 % 100) / 50) for k in range(300))
    page = Page(as_page([replace(evaluations[0], pairs=many)]))
    _, _, width, height = map(float, page.all("svg")[0]["viewbox"].split())
    dots = [(float(tag["cx"]), float(tag["cy"])) for tag in page.all("circle")]
    assert len(dots) == 600
    assert all(100 < x < width and 0 < y < height for x, y in dots)

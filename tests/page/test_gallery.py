"""Pictures of scans: which are chosen, outlines that are those of the voxels, and the size."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.errors import UserError
from benchmark.page.content import make_content
from benchmark.page.gallery import choose, encode, gallery_part, outline, picture_scan
from benchmark.page.lines import read_run
from benchmark.page.render import render


def exact(true, place):
    return true


def only_first(true, place):
    return true if place == 0 else np.zeros_like(true)


def all_lad(true, place):
    return np.minimum(np.arange(len(true)), 1)


def filled(path, shape):
    """The pixels inside a path of h and v steps: those whose row crosses an odd number of edges."""
    crossings = np.zeros((shape[0], shape[1] + 1), int)
    for loop in re.findall(r"M(\d+) (\d+)([^z]*)z", path):
        x, y = int(loop[0]), int(loop[1])
        start = (x, y)
        for kind, steps in re.findall(r"([hv])(-?\d+)", loop[2]):
            n = int(steps)
            if kind == "h":
                x += n
            else:
                crossings[min(y, y + n) : max(y, y + n), x] += 1
                y += n
        assert (x, y) == start
    return np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=6, max_size=6))
def test_an_outline_holds_its_pixels_and_no_other(rows):
    mask = np.asarray(rows)
    np.testing.assert_array_equal(filled(outline(mask), mask.shape), mask)


def test_a_picture_has_square_pixels_and_the_calcium_window():
    image = np.full((20, 40), -1000, np.int16)
    image[:, 20:] = 2000
    text = encode(image, (2.0, 1.0))
    assert text.startswith("data:image/webp;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("L")
    assert picture.size == (40, 40)
    grey = np.asarray(picture)
    assert grey[:, :10].max() < 10
    assert grey[:, 30:].min() > 245


def test_each_method_has_its_worst_median_and_best_scan(small_run):
    run, _ = small_run({"exact": exact, "first": only_first})
    cells = {cell.method: cell for cell in read_run("r1", run).cells}
    chosen = choose(cells)
    assert chosen["first"]["best"] == "s0"
    assert chosen["first"]["worst"] != "s0"
    # among equals, that with most calcium
    assert chosen["exact"]["best"] == chosen["exact"]["worst"] == "s0"


def test_slices_show_candidates_with_their_classes(small_run):
    run, cohort = small_run({"exact": exact, "lad": all_lad})
    part = gallery_part(read_run("r1", run), lambda: cohort)
    assert part.why == ""
    scan = next(s for s in part.data["scans"] if s["id"] == "s0")
    assert [level["level"] for level in scan["slices"]] == [4, 5]
    assert sorted(scan["reference"].values()) == [0, 1, 2, 3]
    titles = [method["title"] for method in part.data["methods"]]
    classes = dict(zip(titles, scan["classes"], strict=True))
    assert sorted(classes["EXACT"].values()) == [1, 2, 3]
    assert len(classes["LAD"]) == 4  # the bone too
    assert set(classes["LAD"].values()) == {1}


def test_the_best_method_comes_first(small_run):
    run, cohort = small_run({"lad": all_lad, "exact": exact})
    part = gallery_part(read_run("r1", run), lambda: cohort)
    assert [method["title"] for method in part.data["methods"]] == ["EXACT", "LAD"]


def test_what_is_too_large_is_left_out_and_counted(small_run):
    run, cohort = small_run({"exact": exact, "first": only_first, "lad": all_lad})
    page_run = read_run("r1", run)
    whole = gallery_part(page_run, lambda: cohort)
    size = sum(len(s["image"]) for scan in whole.data["scans"][:1] for s in scan["slices"])
    part = gallery_part(page_run, lambda: cohort, most_bytes=3 * size)
    assert 0 < len(part.data["scans"]) < len(whole.data["scans"])
    left = len(whole.data["scans"]) - len(part.data["scans"])
    assert part.notes[0].startswith(f"{left} more scans")
    shown = {scan["id"] for scan in part.data["scans"]}
    for method in part.data["methods"]:
        assert set(method["chosen"].values()) <= shown


def test_other_scans_than_the_runs_are_not_shown(small_run):
    run, cohort = small_run({"exact": exact})
    cohort.print = "cd" * 32
    part = gallery_part(read_run("r1", run), lambda: cohort)
    assert part.data is None
    assert "give the scans of the run" in part.why


def test_a_scan_that_changed_is_refused(small_run):
    _, cohort = small_run({"exact": exact})
    with pytest.raises(UserError, match="has 4 now"):
        picture_scan(cohort.load("s0"), {"net": np.zeros(3, np.uint8)})


def test_without_scans_the_page_says_why(content):
    text = render(content)
    assert "Not shown: no scans in this test." in text


def test_a_page_with_scans_holds_them_all(small_run):
    run, cohort = small_run({"exact": exact, "first": only_first})
    text = render(make_content([run], lambda _: cohort))
    assert text.count("data:image/webp") >= 2
    assert 'class="gallery"' in text

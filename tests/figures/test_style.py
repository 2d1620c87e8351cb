import csv
import io
import subprocess
import sys

import numpy as np
import pytest

from benchmark.figures import style
from benchmark.names import slug


def lightness(colour):
    """CIE L* of #RRGGBB."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 116 * (np.array([0.2126, 0.7152, 0.0722]) @ linear) ** (1 / 3) - 16


@pytest.mark.parametrize("colours", [style.ARTERY_COLOURS.values(), [s[0] for s in style.SERIES]])
def test_colours_are_told_apart_in_greyscale(colours):
    found = sorted(lightness(colour) for colour in colours)
    assert min(np.diff(found)) > 15


def test_what_colour_says_shape_says_too():
    for shapes in (style.ARTERY_MARKERS, style.ARTERY_LINES, style.ARTERY_HATCHES):
        assert len(set(shapes.values())) == len(style.ARTERY_COLOURS)
    for part in range(3):
        assert len({series[part] for series in style.SERIES}) == len(style.SERIES)


def drawn():
    with style.styled():
        figure = style.new_figure(style.SINGLE_COLUMN, 1.5)
        figure.subplots().plot([0, 1], [1, 2])
    return figure


def test_files_are_of_printed_size_and_the_same_each_time(tmp_path):
    rows = [{"a (mm)": np.float64(0.1), "b": np.nan}, {"a (mm)": 1 / 3, "b": np.int64(2)}]
    first = style.save(drawn(), tmp_path / "a", "x", rows, "A caption.")
    second = style.save(drawn(), tmp_path / "b", "x", rows, "A caption.")
    assert [path.name for path in first] == ["x.pdf", "x.png", "x.csv", "x.txt"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert b"CreationDate" not in first[0].read_bytes()
    png = first[1].read_bytes()
    wide, high = (int.from_bytes(png[i : i + 4]) for i in (16, 20))
    assert wide / style.DPI == pytest.approx(85 / 25.4, abs=0.01)  # 85 mm
    assert high / style.DPI == pytest.approx(1.5, abs=0.01)
    assert style.DPI >= 200
    table = list(csv.DictReader(io.StringIO(first[2].read_text())))
    assert [float(row["a (mm)"]) for row in table] == [0.1, 1 / 3]
    assert [row["b"] for row in table] == ["", "2"]


def test_files_are_written_all_or_none(tmp_path):
    style.save(drawn(), tmp_path, "x", [{"a": 1}])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "x.csv").unlink()
    (tmp_path / "x.csv").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match=r"x\.csv"):
        style.write_all(
            {tmp_path / "new.txt": b"1", tmp_path / "x.csv" / "y" / "z": b"2"}
            | {tmp_path / "x.csv": b"3"}
        )
    left = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in left if name.startswith(".")]
    assert (tmp_path / "x.pdf").read_bytes() == before["x.pdf"]


def test_a_table_without_rows_or_with_unlike_rows_is_refused(tmp_path):
    for rows in ([], [{"a": 1}, {"b": 1}]):
        with pytest.raises(ValueError, match="table"):
            style.save(drawn(), tmp_path, "x", rows)
    assert not list(tmp_path.iterdir())


def test_matplotlib_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawn()
    assert dict(matplotlib.rcParams) == before


def test_importing_the_figures_imports_neither_matplotlib_nor_torch():
    code = (
        "import sys; import benchmark.figures.make, benchmark.figures.agreement, "
        "benchmark.figures.gain, benchmark.figures.weights, benchmark.cli; "
        "print([m for m in ('matplotlib', 'torch', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.001, "0"),
        (-1.234, "−1.23"),
        (12.34, "12.3"),
        (1234.4, "1234"),
        (float("nan"), "undefined"),
        (2.5e7, "2.5e+07"),
    ],
)
def test_numbers(value, text):
    assert style.number(value) == text


def test_letters_contrast_with_their_ground():
    assert style.ink_on((1, 1, 1)) == style.INK
    assert style.ink_on((0.03, 0.19, 0.42)) == "white"


def test_file_names():
    assert slug("path/to/net.py:Net") == "net-Net"
    assert slug("mmwfanet+omega_qua=0.1") == "mmwfanet-omega_qua-0.1"

"""Places of hearts from a file, in patient coordinates whatever the axes of the scan's file."""

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry, to_memory
from benchmark.errors import UserError
from benchmark.heart.centring import chosen_centre, middle_of
from benchmark.heart.places import Places, from_patient, read_places, to_patient

SHAPE, SPACING = (10, 20, 30), (3.0, 2.0, 1.0)


def scan(id="a", geometry=None) -> Scan:
    return Scan(id, "A", np.zeros(SHAPE, np.int16), SPACING, None, geometry)


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR", "SAL", "IPR"])
def test_patient_coordinates_are_those_that_itk_gives(code):
    image = sitk.GetImageFromArray(np.zeros(SHAPE, np.uint8))
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-61.5, -40.25, 1203.0))
    tilt = sitk.Euler3DTransform()
    tilt.SetRotation(0.1, -0.05, 0.07)
    image.SetDirection(tilt.GetMatrix())
    stored = sitk.DICOMOrient(image, code)
    geometry, memory = Geometry.of(stored), to_memory(stored)
    index = (7, 4, 6)  # x, y, z
    point = memory.TransformIndexToPhysicalPoint(index)
    place = np.array(index[::-1]) * SPACING
    np.testing.assert_allclose(to_patient(geometry, place), point, atol=1e-6)
    np.testing.assert_allclose(from_patient(geometry, point), place, atol=1e-6)
    middle = middle_of(scan(geometry=geometry), "file " + "0" * 16, Places("f", {"a": point}))
    np.testing.assert_allclose(
        middle.offset, place - (np.array(SHAPE) - 1) / 2 * SPACING, atol=1e-6
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,x,y\na,1,2\n", "there is no z"),
        ("id,x,y,z\n", "names no scan"),
        ("id,x,y,z\n,1,2,3\n", "line 2 names no scan"),
        ("id,x,y,z\na,1,2,3\na,1,2,3\n", "line 3 names scan 'a' a second time"),
        ("id,x,y,z\na,1,two,3\n", "line 2: y is 'two', not a number of mm"),
        ("id,x,y,z\na,1,,3\n", "line 2: y is '', not a number"),
        ("id,x,y,z\na,1,nan,3\n", "line 2: y is 'nan', not a number"),
        ("id,x,y,z\na,1,inf,3\n", "line 2: y is 'inf', not a number"),
    ],
)
def test_what_is_no_place_gets_one_line(tmp_path, text, words):
    path = tmp_path / "hearts.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as error:
        read_places(path)
    assert "\n" not in str(error.value)


def test_a_place_must_lie_in_its_scan():
    inside = Places("hearts.csv", {"a": (0.0, 0.0, 0.0)})
    assert inside.of(scan()) == (0.0, 0.0, 0.0)
    for point in ((30.0, 0, 0), (-1.0, 0, 0), (0, 41.0, 0), (0, 0, 28.6)):
        with pytest.raises(UserError, match=r"scan 'a' lies outside it, which spans x 0.0 to 29.0"):
            Places("hearts.csv", {"a": point}).of(scan())


def test_ids_that_are_unknown_or_missing_are_named():
    places = Places("hearts.csv", {"a": (0.0, 0, 0), "b": (0.0, 0, 0)})
    places.require({"a", "b", "c"}, ["a"])
    with pytest.raises(UserError, match="there is no scan 'b'"):
        places.require({"a"}, ["a"])
    with pytest.raises(UserError, match=r"names no place for scan 'c' \(and 1 more\)"):
        places.require({"a", "b", "c", "d"}, ["a", "c", "d"])


def test_the_name_is_of_the_places_and_not_of_the_file(tmp_path):
    one, two, other = (tmp_path / name for name in ("one.csv", "two.csv", "other.csv"))
    one.write_text("id,x,y,z\na,1,2,3\nb,4,5,6\n")
    two.write_text("z;note;y;x;ID\n6,0;n;5;4;b\n3;;2;1;a\n")
    other.write_text("id,x,y,z\na,1,2,3\nb,4,5,7\n")
    names = [chosen_centre(str(path))[0] for path in (one, two, other)]
    assert names[0] == names[1] != names[2]
    assert chosen_centre("heart") == ("heart", None)
    with pytest.raises(UserError, match="--centre hart: no such file"):
        chosen_centre("hart")

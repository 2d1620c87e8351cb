"""The heart is found wherever it lies in a scan, and nothing else is taken for one."""

import numpy as np
import pytest
from chest import HEART, SPACING, chest

from benchmark.heart import FOUND, find_heart
from benchmark.heart.network import cells_of, heart_share
from benchmark.phantom import Patient, draw


@pytest.fixture(scope="module")
def whole():
    return chest()


def apart(found, true=HEART) -> float:
    return float(np.linalg.norm(np.subtract(found.centre, true)))


@pytest.mark.parametrize("size", [0.85, 1.0, 1.15])
def test_it_is_found_in_a_whole_chest(size):
    heart = find_heart(chest(size=size), SPACING)
    assert heart.found
    assert apart(heart) < 18
    low, high = np.array(heart.box)
    assert (low <= heart.centre).all()
    assert (heart.centre <= high).all()
    assert ((high - low > 60) & (high - low < 170)).all()


@pytest.mark.parametrize(
    "cut",
    [
        (slice(20, 60), slice(20, 75), slice(35, 95)),
        (slice(0, 75), slice(0, 100), slice(50, 120)),
        (slice(0, 75), slice(0, 100), slice(0, 78)),
        (slice(24, 75), slice(10, 100), slice(10, 110)),
    ],
    ids=["a cardiac field", "no right lung", "hardly a left lung", "no liver"],
)
def test_what_lies_beyond_the_scan_says_nothing(whole, cut):
    heart = find_heart(whole[cut], SPACING)
    begin = [part.start * step for part, step in zip(cut, SPACING, strict=True)]
    assert heart.found
    assert apart(heart, np.subtract(HEART, begin)) < 22


def test_a_heart_far_from_the_middle_of_a_padded_scan(whole):
    wide = np.pad(whole, ((0, 20), (60, 0), (0, 60)), constant_values=-1024)
    heart = find_heart(wide, SPACING)
    assert heart.found
    assert apart(heart, np.add(HEART, (0, 180, 0))) < 18


def test_thin_and_thick_slices_and_noise_make_no_difference():
    thick, thin = (5.0, 3.0, 3.0), (1.0, 2.0, 2.0)
    noisy = chest(shape=(60, 100, 120), spacing=thick)
    noisy = noisy + np.random.default_rng(1).normal(0, 60, noisy.shape).astype(np.int16)
    assert apart(find_heart(noisy, thick)) < 18
    fine = chest(shape=(200, 150, 180), spacing=thin)
    assert apart(find_heart(fine, thin)) < 18


def without_heart(whole):
    disc = np.hypot(*np.mgrid[-100:100, -100:100]) < 70
    return {
        "neck and shoulders": whole[62:],
        "abdomen": whole[:18],
        "air": np.full((60, 80, 80), -1000, np.int16),
        "padding": np.full((60, 80, 80), -2048, np.int16),
        "water": np.zeros((60, 80, 80), np.int16),
        "lung": np.full((60, 80, 80), -850, np.int16),
        "a cylinder of water": np.where(disc, 0, -1000).astype(np.int16)[None].repeat(60, 0),
        "a slab": whole[30:34],
        "one voxel": whole[:1, :1, :1],
    }


@pytest.mark.parametrize("name", without_heart(np.zeros((75, 100, 120), np.int16)))
def test_where_there_is_none_it_is_not_sure_and_its_place_lies_in_the_scan(whole, name):
    voxels = without_heart(whole)[name]
    heart = find_heart(voxels, SPACING)
    assert heart.confidence < FOUND
    assert not heart.found
    end = (np.array(voxels.shape) - 1) * SPACING
    assert (np.array(heart.centre) >= 0).all()
    assert (heart.centre <= end).all()


@pytest.mark.parametrize("spacing", [(1e-3, 1e-3, 1e-3), (100.0, 100.0, 100.0), (5.0, 0.05, 2.0)])
def test_an_odd_spacing_is_no_fault(spacing):
    assert not find_heart(np.zeros((40, 64, 64), np.int16), spacing).found


@pytest.mark.parametrize("protocol", ["gated", "wide"])
def test_phantoms_that_it_did_not_learn_from(protocol):
    """The true middle of the chambers, of other people than those of `benchmark.heart.learn`."""
    away = []
    for index in range(12):
        scan = draw(Patient.of(index, seed=77, protocol=protocol), spacing=2.5)
        heart = find_heart(scan.voxels, scan.spacing)
        assert heart.found
        middle = (np.array(scan.voxels.shape) - 1) / 2 * scan.spacing
        away.append(np.linalg.norm(np.array(heart.centre) - middle - scan.heart[::-1]))
    assert np.median(away) < 8
    assert max(away) < 18


def test_the_network_is_that_of_torch(whole):
    """Dilated convolutions in NumPy agree with torch's."""
    torch = pytest.importorskip("torch")
    from benchmark.heart.network import DILATIONS, REACH, _weights

    cells = cells_of(whole, SPACING)
    data = torch.from_numpy(np.pad(cells, [(0, 0), *[(REACH, REACH)] * 3]))[None]
    for k, (weight, bias) in enumerate(_weights()):
        weight, bias = torch.from_numpy(weight), torch.from_numpy(bias)
        dilation = DILATIONS[k] if k < len(DILATIONS) else 1
        data = torch.nn.functional.conv3d(data, weight, bias, dilation=dilation)
        if k < len(DILATIONS):
            data = data.relu()
    np.testing.assert_allclose(heart_share(cells), data[0, 0].sigmoid().numpy(), atol=1e-4)


def test_other_weights_than_the_known_are_refused(tmp_path, monkeypatch):
    from benchmark.errors import UserError
    from benchmark.heart import network

    other = tmp_path / "weights.npz"
    other.write_bytes(network.WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(network, "WEIGHTS", other)
    network._weights.cache_clear()
    try:
        with pytest.raises(UserError, match="install the package again"):
            network._weights()
        other.unlink()
        with pytest.raises(UserError, match="No such file"):
            network._weights()
    finally:
        network._weights.cache_clear()

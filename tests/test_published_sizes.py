"""Parameters of each network at its published width, beside the published number."""

from dataclasses import replace

import pytest
import torch

from benchmark.methods import METHODS
from benchmark.runs.plan import make_cell
from benchmark.suites.load import load_suite

PUBLISHED = {
    # Cicek et al. 2016: 19,069,955
    "unet3d": (19.07e6, 0.01),
    # torchvision's r3d_18: 33.4 million with its classifier
    "resnet3d": (33.4e6, 0.01),
    # the released network's checkpoint
    "sslln": (3.4e6, 0.01),
}
"""Number and relative tolerance; docs/recipe.md says why the others have none, or another."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_paper_tier_builds_networks_of_the_published_size(name):
    settings = load_suite("table1").scales["paper"].settings
    method = METHODS[name].settled(settings.options)
    with torch.device("meta"):
        model = method.load()(settings.grid, 3, settings.of(name).width, **method.options)
    number, tolerance = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(number, rel=tolerance)


def test_a_cell_depends_on_its_own_width_alone():
    settings = load_suite("table1").scales["quick"].settings
    wide = replace(settings, widths={"sslln": 32})

    def key(name, values):
        return make_cell(METHODS[name].settled(), 0, values.as_dict(), "", "", "cpu", 1).key

    assert key("unet3d", wide) == key("unet3d", settings)
    assert key("sslln", wide)["settings"]["width"] == 32
    assert wide.of("sslln").width == 32
    assert wide.of("unet3d") == replace(settings, options=None)

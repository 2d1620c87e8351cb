"""Any page of ours as one HTML file: nothing is asked of a network, and no text of a run is run.

Plotly.js draws: it is kept by many, shows values under the pointer, zooms and saves pictures
without a line of ours, and its Python package brings the library as a file, with nothing to build
when a page is made. (Vega-Lite is smaller, but the package that brings it has to bundle it first,
which takes longer than all the rest of the page.) The whole library has 5 MB; packed it is a third
of that, and the browser unpacks it. A content security policy in the page forbids every request,
and every script but the two that this module puts in, known by their hashes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from benchmark import __version__
from benchmark.errors import UserError

SCRIPTS = ("page.js", "tables.js", "plots.js", "gallery.js")


def page_file(
    template: str, data: Mapping[str, dict], packed: Mapping[str, str] | None = None, **values
) -> str:
    """A whole HTML document.

    Parameters
    ----------
    template : str
        A child of ``base.html.j2``.
    data : mapping
        What the plots draw, by the name in their ``data-run``.
    packed : mapping, optional
        Further packed texts of the file, by id; see `pack`.
    **values
        Of the template.
    """
    library, script = plotly(), _script()
    return (
        _environment()
        .get_template(template)
        .render(
            data=htmlsafe_json_dumps(dict(data), dumps=_dumps),
            packed={"plotly": _packed_plotly(), **(packed or {})},
            policy=policy(library, script),
            style=Markup(_text("page.css")),
            script=Markup(script),
            version=__version__,
            **values,
        )
    )


def policy(*scripts: str) -> str:
    """A content security policy: these scripts alone, pictures in the file, no request at all."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def pack(text: str) -> str:
    """Text as gzip in base64; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def plotly() -> str:
    """Plotly.js, from its Python package.

    Raises
    ------
    UserError
        If the package is not installed.
    """
    try:
        place = files("plotly") / "package_data" / "plotly.min.js"
        return place.read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        raise UserError("the page needs plotly; run: pip install plotly") from None


@cache
def _packed_plotly() -> str:
    return pack(plotly())


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("benchmark.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _text(name: str) -> str:
    return (files("benchmark.page") / "templates" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    return '"use strict";\n' + "\n".join(_text(name) for name in SCRIPTS)


def _dumps(value: object, **_) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), allow_nan=False)

"""The methods: which class stands behind a name, and what it gives. No torch is imported here."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import UserError


@dataclass(frozen=True)
class Method:
    """One row of a leaderboard.

    Attributes
    ----------
    name : str
        As typed on the command line.
    title : str
        As printed.
    target : str
        ``package.module:Class`` or ``path/to/file.py:Class``.
    outputs : tuple of str
        Where its scores come from: "mask", "head" or both.
    paper : str or None
        Its name in the paper's tables.
    options : dict
        Constructor options.
    trained : bool
        False for the reference rows, which learn nothing by gradient.
    """

    name: str
    title: str
    target: str
    outputs: tuple[str, ...]
    paper: str | None = None
    options: dict = field(default_factory=dict)
    trained: bool = True

    def load(self) -> type:
        """The class behind the name.

        Raises
        ------
        UserError
            If the module or the class cannot be found or does not import.
        """
        module_name, _, class_name = self.target.partition(":")
        try:
            module = _import(module_name)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"method {self.name!r}: importing {module_name} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not hasattr(module, class_name):
            raise UserError(f"method {self.name!r}: {module_name} has no class {class_name!r}")
        return getattr(module, class_name)

    def source(self) -> str:
        """Text of the files that define the method: a changed line makes a new run."""
        loaded = self.load()
        package = loaded.__module__.partition(".")[0]
        if package == "mmwfanet":
            folder = Path(inspect.getfile(loaded)).parent
            return "\n".join(p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.py")))
        text = Path(inspect.getfile(loaded)).read_text(encoding="utf-8")
        shared = Path(inspect.getfile(loaded)).with_name("blocks.py")
        if package == "baselines" and shared.exists():
            text += shared.read_text(encoding="utf-8")
        return text


def _import(name: str):
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise UserError(f"no such file: {path} (a method may be given as path/to/net.py:Net)")
    module_name = f"user_method_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


_BOTH = ("mask", "head")
_ALL = (
    Method("mmwfanet", "MMWFAnet", "mmwfanet.model:MMWFAnet", _BOTH, "MMWFAnet"),
    Method("fcn3d", "3D FCN", "baselines.fcn3d:FCN3D", ("mask",), "3D FCN"),
    Method("unet3d", "3D U-Net", "baselines.unet3d:UNet3D", ("mask",), "3D U-Net"),
    Method("resnet3d", "3D ResNet", "baselines.resnet3d:ResNet3D", ("mask",), "3D ResNet"),
    Method("acnn-seg", "ACNN-Seg", "baselines.acnn_seg:ACNNSeg", ("mask",), "ACNN-Seg"),
    Method("sslln", "SSLLN", "baselines.sslln:SSLLN", ("mask",), "SSLLN"),
    Method(
        "indices-net", "Indices-Net", "baselines.indices_net:IndicesNet", ("head",), "Indices-Net"
    ),
    Method("dmtrl", "DMTRL", "baselines.dmtrl:DMTRL", ("head",), "DMTRL"),
    Method("arm-mtl", "ARM-MTL", "baselines.arm_mtl:ARMMTL", _BOTH, "ARM-MTL"),
    Method(
        "all-lad",
        "every candidate is LAD",
        "baselines.references:EveryCandidateIsLAD",
        ("mask",),
        trained=False,
    ),
    Method(
        "nearest-artery",
        "nearest mean artery",
        "baselines.references:NearestMeanArtery",
        ("mask",),
        trained=False,
    ),
)

METHODS: dict[str, Method] = {}
for _method in _ALL:
    if _method.name in METHODS:
        raise RuntimeError(f"two methods are called {_method.name!r}")
    METHODS[_method.name] = _method


def find(name: str) -> Method:
    """The method of that name, or the user's own class given as ``path/to/net.py:Net``.

    Raises
    ------
    UserError
        If there is none; the message names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    if ":" in name:
        own = Method(name, name.rpartition(":")[2], name, ())
        outputs = tuple(getattr(own.load(), "outputs", ()))
        if not outputs or not set(outputs) <= {"mask", "head"}:
            raise UserError(f"{name}: the class needs outputs = ('mask',), ('head',) or both")
        return Method(name, own.title, name, outputs)
    nearest = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise UserError(f"unknown method {name!r}{hint} (`benchmark list methods` shows all)")

"""The methods: which class stands behind a name, and what it gives. No torch is imported here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import yaml

from benchmark.classes import facts, load, read, try_to_build
from benchmark.errors import UserError
from benchmark.names import option_texts, own_class, split_base, told_apart
from benchmark.option_values import REMEDY, as_json, holds, refusal
from benchmark.program import own_text
from benchmark.sources import Code, is_own, read_code
from benchmark.yaml_values import read_value

if TYPE_CHECKING:
    from benchmark.tuning import Tuning

EXPECTATIONS = ("lower", "higher", "")
"""What an ablation's author expects of its figures against those of its base."""


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
        Where its scores come from: "mask", "head" or both; empty until the class is asked.
    paper : str or None
        Its name in the paper's tables.
    options : dict
        Constructor options. Those of an ablation are its change.
    trained : bool
        False for rows that learn nothing by gradient, all of them references.
    base : str or None
        The method that an ablation changes; None for a method of its own.
    expect : str
        One of `EXPECTATIONS`.
    retrain : bool
        False tests the base's own weights with the change made, without training again.
    external : bool
        True for a system that trains itself and is no network of the contract's.
    code : Code or None
        Of a user's own: its files as they were when it was found, which are what is run.
    tuning : Tuning or None
        The search that chooses its setting, for the tuned row of a method.
    reference : bool
        A row that rivals are measured by and that takes no part in ranks and marks.
    needs_owners : bool
        It asks the cohort for the true owner of each candidate (`Cohort.owners`), and is no row
        where the cohort does not know.
    """

    name: str
    title: str
    target: str
    outputs: tuple[str, ...]
    paper: str | None = None
    options: dict = field(default_factory=dict)
    trained: bool = True
    base: str | None = None
    expect: str = ""
    retrain: bool = True
    external: bool = False
    code: Code | None = field(default=None, repr=False, compare=False)
    tuning: Tuning | None = None
    reference: bool = False
    needs_owners: bool = False

    @property
    def family(self) -> str:
        """The base's name, or its own: ablations share their base's options of a tier."""
        if self.tuning is not None:
            return self.tuning.family
        return self.base or self.name

    @property
    def change(self) -> str:
        """``"fusion = sum"``; empty for a method of its own."""
        return (
            ", ".join(f"{k} = {written(v)}" for k, v in self.options.items()) if self.base else ""
        )

    def read(self) -> Method:
        """The method with its code, if it is a user's own and that is not known yet.

        Raises
        ------
        UserError
            If a file cannot be read, cannot be imported, or ends the program.
        """
        if self.code is not None or not is_own(self.target):
            return self
        return replace(self, code=read(self.name, self.target))

    def load(self) -> type:
        """The class behind the name, imported into this process.

        A user's file changes for all others what it likes: only processes that are there for this
        one network should do so. `facts` tells of the class without.

        Raises
        ------
        UserError
            If the module or the class cannot be found or does not import.
        """
        return load(self.name, self.target, self.code)

    def facts(self) -> dict:
        """What its class says of itself; of a user's own, asked in another process.

        Returns
        -------
        dict
            ``outputs``, ``defaults`` by option, ``refused`` (`repr` of defaults that JSON cannot
            hold), ``takes_any`` (further options), ``tunable`` and ``tunable_fault`` (see
            `benchmark.tunable.declared`).

        Raises
        ------
        UserError
            As `load`.
        """
        return facts(self.name, self.target, self.code)

    def defaults(self) -> dict:
        """Every option of the class with its default; see `facts`."""
        return self.facts()["defaults"]

    def try_to_build(self, *arguments: object) -> tuple[str, ...]:
        """Build its network, a user's own in another process, and throw it away; its outputs.

        Raises
        ------
        UserError
            If an option has a value that the class refuses.
        """
        return try_to_build(self.name, self.target, self.read().code, arguments, self.options)

    def source(self) -> str:
        """Text of the files that define the method: a changed line makes a new run.

        Raises
        ------
        UserError
            If they cannot be read.
        """
        module = self.target.rpartition(":")[0]
        if is_own(self.target):
            return (self.code or read_code(module)).text
        return own_text(module)

    def settled(self, tier_options: dict | None = None) -> Method:
        """The method with every option stated: defaults, then the tier's, then its own.

        Parameters
        ----------
        tier_options : dict, optional
            Options by method name, as a suite's tier gives them.

        Raises
        ------
        UserError
            If an option is unknown (the nearest is named), or JSON cannot hold its value.
        """
        told = self.facts()
        known, refused = told["defaults"], told["refused"]
        tier = tier_options or {}
        of_family, of_name = tier.get(self.family) or {}, tier.get(self.name) or {}
        stated = {**of_family, **self.options, **of_name}
        for option, shown in refused.items():
            if option not in stated:
                raise UserError(f"method {self.name!r}: {refusal(option, shown)}; {REMEDY}")
        for option, value in stated.items():
            if not holds(value):
                raise UserError(
                    f"method {self.name!r}: the value of {option!r}, {value!r:.60}, cannot be "
                    f"written as JSON; {REMEDY}"
                )
            if option not in known and option not in refused and not told["takes_any"]:
                close = difflib.get_close_matches(option, known, n=1, cutoff=0.4)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                there = f" (there are: {', '.join(known)})" if known else " (it has none)"
                raise UserError(f"method {self.family!r} has no option {option!r}{hint}{there}")
        return replace(self, options=as_json({**known, **stated}))


def written(value: object) -> str:
    """An option's value as YAML has it on one line: ``[axial, coronal]``, ``0.01``, ``1e-05``."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.strip().removesuffix("...").strip()


_BOTH = ("mask", "head")


def _ablation(
    name: str,
    title: str,
    options: dict,
    expect: str = "lower",
    outputs: tuple[str, ...] = _BOTH,
    paper: bool = True,
    retrain: bool = True,
) -> Method:
    """A configuration of MMWFAnet's parts."""
    return Method(
        name,
        title,
        "mmwfanet.model:MMWFAnet",
        outputs,
        title if paper else None,
        options,
        base="mmwfanet",
        expect=expect,
        retrain=retrain,
    )


def _reference(name: str, title: str, kind: str, **more: bool) -> Method:
    """A row without learning."""
    target = f"baselines.references:{kind}"
    return Method(name, title, target, ("mask",), trained=False, reference=True, **more)


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
    # Table 2: what each part of MMWFAnet gives
    _ablation("avl", "AVL", {"fusion": "axial"}),
    _ablation("mvl", "MVL", {"fusion": "sum"}),
    _ablation("s-model", "S-model", {"heads": ["mask"]}, outputs=("mask",)),
    _ablation("q-model", "Q-model", {"heads": ["head"]}, outputs=("head",)),
    # the trained network, tested without a view: nothing is trained again
    _ablation(
        "no-coronal", "coronal gate off", {"gates": ["sagittal"]}, paper=False, retrain=False
    ),
    _ablation(
        "no-sagittal", "sagittal gate off", {"gates": ["coronal"]}, paper=False, retrain=False
    ),
    _ablation("no-gates", "both gates off", {"gates": []}, paper=False, retrain=False),
    *(
        _ablation(
            f"{name}-mean",
            f"{title} at its mean" if name != "no-gates" else "both gates at their means",
            {"gates": gates, "closed_gates": "mean"},
            paper=False,
            retrain=False,
        )
        for name, title, gates in (
            ("no-coronal", "coronal gate", ["sagittal"]),
            ("no-sagittal", "sagittal gate", ["coronal"]),
            ("no-gates", "both gates", []),
        )
    ),
    # Table 3: other attention, other ways of learning both tasks
    _ablation("res-att", "Res-Att", {"fusion": "res-att"}),
    _ablation("senet", "SENet", {"fusion": "senet"}),
    _ablation("danet", "DANet", {"fusion": "danet"}),
    _ablation("dmtrl-swap", "DMTRL in MMWFAnet", {"dependency": "dmtrl"}, paper=False),
    _ablation("hu-mtl", "HU-MTL", {"task_weights": "uncertainty"}),
    replace(
        _ablation("arm-swap", "ARM-MTL in MMWFAnet", {"dependency": "reverse-mapping"}),
        paper="ARM-MTL",
    ),
    # a system that trains itself
    Method("nnunet", "nnU-Net v2", "baselines.nnunet:NNUNet", ("mask",), external=True),
    Method(
        "nnunet-mirroring",
        "nnU-Net v2, mirroring",
        "baselines.nnunet:NNUNet",
        ("mask",),
        options={"mirroring": True},
        base="nnunet",
        expect="lower",
        external=True,
    ),
    Method(
        "nnunet-candidates",
        "nnU-Net v2, losses on candidates",
        "baselines.nnunet:NNUNet",
        ("mask",),
        options={"candidates": True},
        base="nnunet",
        expect="higher",
        external=True,
    ),
    # what a network must be more than: no learning, two small networks; and what none can be
    _reference("all-lad", "every candidate is LAD", "EveryCandidateIsLAD"),
    _reference("nearest-25", "25 nearest neighbours", "NearestNeighbours"),
    Method(
        "two-convolutions",
        "two convolutions",
        "baselines.two_convolutions:TwoConvolutions",
        ("mask",),
        reference=True,
    ),
    Method(
        "two-convolutions-xyz",
        "two convolutions and coordinates",
        "baselines.two_convolutions:TwoConvolutions",
        ("mask",),
        options={"coordinates": True},
        reference=True,
    ),
    _reference("ceiling", "ceiling: true owners", "TrueOwners", needs_owners=True),
)

METHODS: dict[str, Method] = {}
for _method in _ALL:
    if _method.name in METHODS:
        raise RuntimeError(f"two methods are called {_method.name!r}")
    METHODS[_method.name] = _method


def is_reference(entry: dict) -> bool:
    """Whether a row of plan.json is one that others are measured by.

    Plans of earlier versions do not say; their references are the rows that were not trained.
    """
    return entry.get("reference", not entry["trained"])


def ranked(entry: dict) -> bool:
    """Whether a row of plan.json takes part in ranks and marks: trained, and no reference."""
    return entry["trained"] and not is_reference(entry)


def find(name: str) -> Method:
    """The method of that name.

    Parameters
    ----------
    name : str
        One of `METHODS`; the user's own class as ``path/to/net.py:Net``; or either of them with
        options changed, ``mmwfanet+fusion=sum+lambda_inter=0``: an ablation.

    Raises
    ------
    UserError
        If there is none; the message names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    from benchmark.plugins import installed

    plugins = installed()
    base, rest = split_base(name, {**METHODS, **plugins})
    if rest:
        return ablation(find(base), read_options(name, rest), name)
    own = plugins.get(name)
    found = own_class(name)
    if own is None and found is not None:
        own = Method(name, found[1], name, ())
    if own is not None:
        own = own.read()
        outputs = tuple(own.facts()["outputs"])
        if not outputs or not set(outputs) <= {"mask", "head"}:
            raise UserError(f"{name}: the class needs outputs = ('mask',), ('head',) or both")
        return replace(own, outputs=outputs)
    nearest = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise UserError(f"unknown method {name!r}{hint} (`benchmark list methods` shows all)")


def read_options(name: str, rest: str) -> dict:
    """The options written behind a method's name.

    Parameters
    ----------
    name : str
        The whole, for messages.
    rest : str
        ``+option=value+option=value``, see `benchmark.names.split_base`.

    Raises
    ------
    UserError
        If one is not so written.
    """
    pairs = option_texts(rest)
    if pairs is None:
        raise UserError(
            f"method {name!r}: write METHOD+OPTION=VALUE, as mmwfanet+fusion=sum (a value that "
            "holds + in quotes, a file as path/to/net.py:Net)"
        )
    return {option: read_value(text, f"method {name!r}: {option}") for option, text in pairs}


def with_own_titles(methods: Iterable[Method]) -> tuple[Method, ...]:
    """The methods under titles of which no two are equal; see `benchmark.names.told_apart`."""
    methods = tuple(methods)
    titles = told_apart(((method.name, method.title) for method in methods), METHODS)
    return tuple(replace(method, title=titles[method.name]) for method in methods)


def ablation(
    base: Method,
    change: dict,
    name: str,
    title: str | None = None,
    expect: str = "",
    retrain: bool = True,
    paper: str | None = None,
) -> Method:
    """A method that differs from its base in some options.

    Parameters
    ----------
    base : Method
    change : dict
        New values by option.
    name : str
    title : str, optional
        By default the base's title and the change.
    expect : str
        One of `EXPECTATIONS`.
    retrain : bool
        False tests the base's weights with the change made.
    paper : str, optional
        Its name in the paper's tables.
    """
    words = ", ".join(f"{option} {written(value)}" for option, value in change.items())
    return replace(
        base,
        name=name,
        title=title or f"{base.title} {words}",
        # a change of heads changes them: the class is asked once it is built
        outputs=() if "heads" in change else base.outputs,
        paper=paper,
        options={**base.options, **change},
        base=base.family,
        expect=expect,
        retrain=retrain,
    )

"""What a job asks of the scheduler, from ``--slurm KEY=VALUE,...`` or a YAML file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmark.errors import UserError
from benchmark.suites.schema import nearest
from benchmark.yaml_values import Loader, read_value

NAMES = {
    "partition": "partition",
    "gpus": "gpus_per_node",
    "cpus": "cpus_per_task",
    "memory": "mem",
    "time": "time",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "exclude": "exclude",
    "nodelist": "nodelist",
    "gres": "gres",
    "comment": "comment",
    "setup": "setup",
    "signal_delay": "signal_delay_s",
}
"""Our words and submitit's; ``setup`` is a list of shell lines before the job."""

PASSED_ON = ("reservation", "licenses", "nice", "mail_user", "mail_type")
"""Options of sbatch that submitit has no word for; given to sbatch as they are."""

DEFAULT_MINUTES = 480
SIGNAL_DELAY = 120
"""Seconds before the time limit at which a job writes its checkpoint and is queued again."""


@dataclass(frozen=True)
class SlurmOptions:
    """What each job asks for.

    Attributes
    ----------
    values : dict
        By submitit's names; ``time`` in minutes.
    passed_on : dict
        By sbatch's names, with ``_`` for ``-``.
    """

    values: dict = field(default_factory=dict)
    passed_on: dict = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """GPUs of a job."""
        asked = self.values.get("gpus_per_node") or 0
        if not asked and "gpu" in str(self.values.get("gres", "")):
            return 1
        return int(asked)

    @property
    def cpus(self) -> int:
        """Cores of a job."""
        return int(self.values.get("cpus_per_task") or 1)


def parse_slurm(text: str | None) -> SlurmOptions:
    """Read ``partition=gpu,gpus=1,time=8:00:00`` or the name of a YAML file with such keys.

    Raises
    ------
    UserError
        If a key is unknown or a value is wrong.
    """
    found: dict = {}
    if text and Path(text).suffix.lower() in (".yaml", ".yml"):
        found = _file(Path(text))
    elif text:
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals:
                raise UserError(f"--slurm {part}: write KEY=VALUE, as partition=gpu,time=8:00:00")
            key = key.strip()
            found[key] = value.strip() if key == "time" else read_value(value, f"--slurm {key}")
    values = {}
    known = (*NAMES, *PASSED_ON)
    passed = {}
    for key, value in found.items():
        if key not in known:
            raise UserError(
                f"--slurm: unknown key {key!r}{nearest(key, known)} (there is: {', '.join(known)})"
            )
        if key in PASSED_ON:
            passed[key] = value
        else:
            values[NAMES[key]] = value
    for key in ("gpus_per_node", "cpus_per_task", "signal_delay_s"):
        if key in values and (not isinstance(values[key], int) or values[key] < 0):
            raise UserError(f"--slurm: {key} must be a whole number, not {values[key]!r}")
    values["time"] = minutes(values.get("time", DEFAULT_MINUTES))
    # never more than half of the limit: a job must get on between two signals
    delay = min(SIGNAL_DELAY, 30 * values["time"])
    values.setdefault("signal_delay_s", delay)
    if isinstance(values.get("setup"), str):
        values["setup"] = [values["setup"]]
    return SlurmOptions(values, passed)


def minutes(value: object) -> int:
    """A limit of time as Slurm writes it (minutes, H:MM:SS, D-HH:MM:SS) in whole minutes.

    Raises
    ------
    UserError
        If it is not understood.
    """
    text = str(value).strip()
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", text)
    total = 0.0
    if re.fullmatch(r"\d+", text):
        total = float(text)
    elif found:
        days, first, second, third = (int(part or 0) for part in found.groups())
        if found[1] or found[4]:  # D-HH:MM and H:MM:SS
            total = days * 1440 + first * 60 + second + third / 60
        else:  # MM:SS
            total = first + second / 60
    if total < 1:
        raise UserError(f"--slurm time={text}: write at least a minute, as 8:00:00 or 1-00:00:00")
    return int(total)


def _file(path: Path) -> dict:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        raise UserError(f"{path}: broken YAML") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold keys such as partition: gpu")
    return values

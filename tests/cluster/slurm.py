"""A Slurm of one node on this machine, without systemd: configured, started and stopped by hand.

Debian's packages are enough (``apt-get install slurm-wlm munge``); it takes root, as munge and
slurmd do. Nothing of an existing configuration is touched: all files lie in a folder of their own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel")

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MpiDefault=none
ReturnToService=2
KillWait=30
SlurmdTimeout=300
SlurmctldTimeout=300
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=high Nodes=ALL PriorityTier=10 MaxTime=INFINITE State=UP
"""  # noqa: E501


def why_not() -> str:
    """Why no Slurm can be started here; empty if one can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root here"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed (apt-get install slurm-wlm munge)"
    return ""


class Slurm:
    """The daemons. Use as a context; the environment names its configuration within."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Slurm:
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in ("state", "spool"):
            (self.root / folder).mkdir(exist_ok=True)
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            root=self.root,
            controller=_free_port(),
            daemon=_free_port(),
        )
        (self.root / "slurm.conf").write_text(text)
        os.environ["SLURM_CONF"] = str(self.root / "slurm.conf")
        self._start_munge()
        self.start("slurmctld")
        self.start("slurmd")
        self.wait(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), 60)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("scancel", "--me")
        finally:
            for name in list(self._daemons):
                self.stop(name)
            os.environ.pop("SLURM_CONF", None)

    def _start_munge(self) -> None:
        """munged wants files that nobody else may write; it runs as the user munge."""
        key = self.root / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.root.chmod(0o755)
        try:
            user = pwd.getpwnam("munge")
            os.chown(key, user.pw_uid, user.pw_gid)
        except KeyError:
            pass
        self._daemons["munged"] = subprocess.Popen(
            [
                "munged", "--foreground", "--force", f"--key-file={key}",
                f"--socket={self.root}/munge.socket", f"--pid-file={self.root}/munged.pid",
                f"--log-file={self.root}/munged.log", f"--seed-file={self.root}/munge.seed",
            ],
            stdout=subprocess.DEVNULL, stderr=(self.root / "munged.err").open("w"),
        )  # fmt: skip
        self.wait(lambda: (self.root / "munge.socket").exists(), 20)

    def start(self, name: str) -> None:
        """Start slurmctld or slurmd."""
        log = (self.root / f"{name}.err").open("a")
        self._daemons[name] = subprocess.Popen(
            [name, "-D"], stdout=log, stderr=log, start_new_session=True
        )

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon; SIGKILL as a crash would."""
        process = self._daemons.pop(name)
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def wait(self, condition, seconds: float) -> None:
        """Wait until something holds, or say what the logs say."""
        last = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > last:
                logs = [path.read_text()[-1500:] for path in sorted(self.root.glob("*.err"))]
                raise TimeoutError(
                    "Slurm: " + "\n".join([*logs, self.ask("squeue"), self.ask("sinfo")])
                )
            time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

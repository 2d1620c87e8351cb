"""One training over several devices: a process each, and the numbers of a single process.

Every process draws the same batches and the same random numbers and takes its part of each batch.
Sums over the batch go over all processes: batch norm and dropout (`sharing`), the sums inside
losses (`contract.sum_over_devices`), and the gradients of every optimiser, which are averaged.
PyTorch's DistributedDataParallel averages gradients of one module's ``forward``; here each stage
has a loss that calls parts of the network, and an adversary an optimiser of its own, so gradients
are averaged where they are used. The processes are those of ``torchrun``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from benchmark import contract
from benchmark.contract import Batch
from benchmark.training import sharing
from benchmark.training.clock import DeviceClock


class Alone:
    """One device has the whole batch: nothing is shared, nothing changes."""

    rank, count = 0, 1

    def clock(self, device: torch.device, threads: int) -> DeviceClock:
        """The clock of device-seconds, of all devices together."""
        return DeviceClock(device, threads)

    def prepare(self, model: nn.Module) -> None:
        """Make a network fit for a part of the batch."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within, batches are shared."""
        yield

    def fault(self, size: int) -> str:
        """Why a batch of ``size`` scans cannot be shared, or ""."""
        return ""

    def share(self, batch: Batch) -> Batch:
        """This device's part of a batch."""
        return batch

    def average(self, parameters: list[nn.Parameter]) -> None:
        """Average the gradients over the devices."""

    def agree(self, clock: DeviceClock, *wishes: bool) -> tuple[bool, ...]:
        """What any device wishes, all do; the clocks are added up."""
        return wishes

    def mean(self, value: Tensor) -> float:
        """Mean over the devices."""
        return float(value)

    def largest(self, value: int) -> int:
        """Largest over the devices."""
        return value

    def first(self, make: Callable[[], object]) -> object:
        """What the first device's ``make`` gives, on all of them."""
        return make()

    def rows(self, begin: int, end: int) -> np.ndarray:
        """This device's part of the scans ``begin`` to ``end``."""
        return np.arange(begin, end)

    def join(self, parts: list[dict[str, Tensor]], chunks: list[int]) -> dict[str, Tensor]:
        """Features of all scans from those of each chunk's `rows`."""
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def gathered(self, model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """A network's kept tensors with the rows of all devices, to be written."""
        return tensors

    def part(self, model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """A network's kept tensors with this device's rows alone, to be restored."""
        return tensors

    def check(self, losses: Callable[[Batch], float], restore: Callable[[bool], None]) -> str:
        """Why a stage's loss cannot be shared, or ""."""
        return ""


class SharedClock(DeviceClock):
    """Device-seconds of all devices, as they stood when the devices last agreed."""

    _total = 0.0

    @property
    def seconds(self) -> float:
        """See the class."""
        return self._total

    def restore(self, seconds: float) -> None:
        """Each device takes an equal part, so that the sum is as it was."""
        super().restore(seconds / dist.get_world_size())
        self._total = seconds

    def settle(self) -> float:
        """Wait for all devices and return the sum; all of them must come here."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self._total = _sums([DeviceClock.seconds.fget(self)])[0]
        return self._total


class Together(Alone):
    """Several devices, each with its part of the batch."""

    tolerance = 1e-3
    """Relative difference between the loss of the whole batch and the mean over its parts."""

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self._whole: Batch | None = None

    def clock(self, device: torch.device, threads: int) -> DeviceClock:
        return SharedClock(device, threads)

    def prepare(self, model: nn.Module) -> None:
        sharing.convert(model)
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                same = tensor.detach().contiguous()
                dist.broadcast(same, 0)
                tensor.copy_(same)

    @contextmanager
    def working(self) -> Iterator[None]:
        self._switch(True)
        try:
            yield
        finally:
            self._switch(False)

    def _switch(self, on: bool) -> None:
        sharing.switch(self.rank if on else 0)
        contract._SHARING.update(
            count=self.count if on else 1, sum=sharing.SumOverDevices.apply if on else None
        )

    def fault(self, size: int) -> str:
        if size % self.count == 0:
            return ""
        return f"a batch of {size} scans cannot be shared evenly by {self.count} devices"

    def share(self, batch: Batch) -> Batch:
        self._whole = batch
        part = len(batch.scores) // self.count
        mine = slice(self.rank * part, (self.rank + 1) * part)
        kept = {name: tensor[mine] for name, tensor in batch.kept.items()}
        others = [f.name for f in fields(Batch) if f.name != "kept"]
        # on kept features the image is empty
        return Batch(**{name: getattr(batch, name)[mine] for name in others}, kept=kept)

    def average(self, parameters: list[nn.Parameter]) -> None:
        parameters = [p for p in parameters if p.requires_grad]
        # a weight that no device used keeps no gradient: an optimiser then leaves it alone
        used = _sums([float(p.grad is not None) for p in parameters])
        parameters = [p for p, number in zip(parameters, used, strict=True) if number]
        if not parameters:
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        dist.all_reduce(flat)
        flat /= self.count
        places = np.cumsum([grad.numel() for grad in grads])[:-1].tolist()
        for parameter, grad, mean in zip(
            parameters, grads, torch.tensor_split(flat, places), strict=True
        ):
            # into the gradient's own memory, whose layout the fused optimisers count on
            grad.copy_(mean.view(grad.shape))
            parameter.grad = grad

    def agree(self, clock: DeviceClock, *wishes: bool) -> tuple[bool, ...]:
        sums = _sums([DeviceClock.seconds.fget(clock), *map(float, wishes)])
        clock._total = sums[0]
        return tuple(number > 0 for number in sums[1:])

    def mean(self, value: Tensor) -> float:
        return _sums([float(value)])[0] / self.count

    def largest(self, value: int) -> int:
        found = torch.tensor(value)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def first(self, make: Callable[[], object]) -> object:
        box = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(box, 0)
        return box[0]

    def rows(self, begin: int, end: int) -> np.ndarray:
        return np.array_split(np.arange(begin, end), self.count)[self.rank]

    def join(self, parts: list[dict[str, Tensor]], chunks: list[int]) -> dict[str, Tensor]:
        whole = {}
        for name in parts[0]:
            mine = torch.cat([part[name] for part in parts])
            sizes = [[len(r) for r in np.array_split(np.arange(n), self.count)] for n in chunks]
            queues = []
            for rank in range(self.count):
                size = [of_chunk[rank] for of_chunk in sizes]
                rows = mine if rank == self.rank else mine.new_empty(sum(size), *mine.shape[1:])
                dist.broadcast(rows, rank)
                queues.append(iter(rows.split(size)))
            whole[name] = torch.cat([next(queue) for _ in chunks for queue in queues])
        return whole

    def gathered(self, model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        self._same_state(model, tensors)
        whole = dict(tensors)
        for key in _per_scan(model, tensors):
            parts = [torch.empty_like(tensors[key]) for _ in range(self.count)]
            dist.all_gather(parts, tensors[key])
            whole[key] = torch.cat(parts)
        return whole

    def part(self, model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        mine = dict(tensors)
        for key in _per_scan(model, tensors):
            mine[key] = tensors[key].chunk(self.count)[self.rank]
        return mine

    def _same_state(self, model: nn.Module, tensors: dict[str, Tensor]) -> None:
        """Raise ValueError if the devices' networks have drifted apart."""
        apart = set(_per_scan(model, tensors))
        mine = {key: float(t.double().sum()) for key, t in tensors.items() if key not in apart}
        theirs = self.first(lambda: mine)
        wrong = [
            key
            for key in {*mine, *theirs}
            if key not in mine
            or key not in theirs
            or not np.isclose(mine[key], theirs[key], 1e-3, 1e-3, equal_nan=True)
        ]
        if _sums([float(len(wrong))])[0]:
            name = f" ({sorted(wrong)[0].partition('/')[2]})" if wrong else ""
            raise ValueError(
                f"it does not stay the same on every device{name}: what it keeps for each scan "
                "must be named in per_scan, and sums over the batch need sum_over_devices"
            )

    def check(self, losses: Callable[[Batch], float], restore: Callable[[bool], None]) -> str:
        expected = np.nan
        if self.rank == 0:
            self._switch(False)
            restore(True)
            try:
                expected = losses(self._whole)
            except Exception:
                # for instance too large a batch for one device: that is what several are for;
                # what fails on its parts as well fails on every device, a moment later
                pass
            finally:
                self._switch(True)
        restore(False)
        found = self.mean(torch.tensor(losses(None)))
        restore(False)
        expected = self.first(lambda: expected)
        if not np.isfinite(expected) or abs(found - expected) <= self.tolerance * abs(expected):
            return ""
        return (
            f"its loss on a batch shared by {self.count} devices is {found:.5g}, on one "
            f"{expected:.5g}: train it on one device, or put its sums through "
            "benchmark.contract.sum_over_devices"
        )


def group() -> Alone:
    """The devices of this training: those of the process group, if there is one."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return Together()
    return Alone()


def _sums(values: list[float]) -> list[float]:
    """Sums over the devices, by way of their CPUs: no GPU is waited for."""
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total)
    return total.tolist()


def _per_scan(model: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    """Keys of kept tensors that have a row for each scan."""
    names = [
        f"attribute/{path}/{name}"
        for path, module in model.named_modules()
        for name in getattr(module, "per_scan", ())
    ]
    return sorted(k for k in tensors if any(k == n or k.startswith(f"{n}/") for n in names))

"""What is watched while a network trains a few steps: what it keeps, and how long a step takes."""

from __future__ import annotations

import torch

from benchmark.training.clock import DeviceClock


class Kept:
    """The most that is kept for a backward pass, bytes, without the network's own weights."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._own = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
        self._kept: dict[int, int] = {}
        self._sum = 0
        self._reading = False
        self.most = 0

    def watching(self) -> torch.autograd.graph.saved_tensors_hooks:
        """The context in which it is counted."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count a tensor's storage once."""
        if self._reading:
            self._kept, self._sum, self._reading = {}, 0, False
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place not in self._own:
            self._sum += size - self._kept.get(place, 0)
            self._kept[place] = size
            self.most = max(self.most, self._sum)
        return tensor

    def _unpack(self, tensor: torch.Tensor) -> torch.Tensor:
        """The backward pass has begun: what is kept next belongs to another step."""
        self._reading = True
        return tensor


class LapClock(DeviceClock):
    """A clock that remembers the seconds of each step: the first are slower than the many."""

    def __init__(self, device: torch.device, threads: int) -> None:
        super().__init__(device, threads)
        self.laps: list[float] = []

    def _count(self, seconds: float) -> None:
        super()._count(seconds)
        self.laps.append(seconds)

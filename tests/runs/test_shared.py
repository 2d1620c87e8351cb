"""A results folder of several users: modes by the umask, and nobody is stopped by a colleague."""

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmark.runs.clean import Rubbish, remove
from benchmark.runs.copies import copy_cell
from benchmark.runs.lock import Locks
from benchmark.runs.store import LOCKS, Store


def files(folder):
    return {p.name: p.stat().st_mode & 0o777 for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_cells_have_the_modes_of_the_mask(mask, make_run, tmp_path):
    before = os.umask(mask)
    try:
        outcome, _ = make_run(methods=("unet3d",))
        source, other = Store(outcome.folder.parents[1]), Store(tmp_path / "other")
        copy_cell(source, outcome.cells[0], other)
    finally:
        os.umask(before)
    for store in (source, other):
        cell = store.cells / outcome.cells[0].folder
        assert cell.stat().st_mode & 0o777 == 0o777 & ~mask
        assert set(files(cell).values()) == {0o666 & ~mask}
    assert (source.cells / LOCKS).stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_checkpoint_is_readable_for_the_group(tmp_path):
    torch = pytest.importorskip("torch")
    from benchmark.runs.store import _save_weights

    before = os.umask(0o002)
    try:
        _save_weights({"w": torch.zeros(2)}, tmp_path / "checkpoint.safetensors")
    finally:
        os.umask(before)
    assert files(tmp_path) == {"checkpoint.safetensors": 0o664}


@pytest.fixture
def failed_before(make_run, tmp_path):
    """A run in which the first cell failed."""
    outcome, _ = make_run(methods=("unet3d", "dmtrl"))
    store = Store(outcome.folder.parents[1])
    folder = outcome.cells[0].folder
    run = store.cells / folder / "run.json"
    values = json.loads(run.read_text())
    run.write_text(json.dumps({**values, "state": "failed", "reason": "of a colleague"}))
    from benchmark.manifest import write_manifest

    write_manifest(store.cells / folder)
    return store, folder


def test_what_a_colleague_left_is_replaced_without_rights_to_it(
    failed_before, make_run, monkeypatch
):
    store, folder = failed_before
    plain = os.replace

    def replace(source, target):
        # into another folder a folder of another user cannot be moved
        if Path(source).name == folder and Path(source).parent != Path(target).parent:
            raise PermissionError(13, "Permission denied", str(source))
        return plain(source, target)

    monkeypatch.setattr(os, "replace", replace)
    outcome, _ = make_run(methods=("unet3d", "dmtrl"))
    assert not outcome.failed
    assert [p.name for p in store.cells.iterdir() if p.name.startswith((".old", ".draft"))] == []


def test_where_it_cannot_be_that_cell_alone_fails(failed_before, make_run, monkeypatch):
    store, folder = failed_before
    plain = os.rename

    def rename(source, target):
        if Path(source).name == folder:
            raise PermissionError(1, "Operation not permitted", str(source))
        return plain(source, target)

    monkeypatch.setattr(os, "rename", rename)
    shutil.rmtree(next(p for p in store.cells.iterdir() if p.name.startswith("dmtrl")))
    outcome, display = make_run(methods=("unet3d", "dmtrl"))
    (failed,) = outcome.failed
    assert failed.folder == folder
    assert "may not be replaced here" in failed.reason
    assert "--out" in failed.reason
    assert "FAILED" in display.text
    assert store.standing(folder).reason == "of a colleague"
    assert [p.name for p in store.cells.iterdir() if p.name.startswith((".old", ".draft"))] == []


def test_a_cell_that_may_not_be_read_fails_alone_and_is_never_replaced(
    make_run, monkeypatch, tmp_path
):
    outcome, _ = make_run(methods=("unet3d",))
    store = Store(outcome.folder.parents[1])
    folder = outcome.cells[0].folder
    plain = Path.open

    def closed(path, *arguments, **more):
        if path.parent.name == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", closed)
        assert store.standing(folder).state == "closed"
        outcome, _ = make_run(methods=("unet3d", "dmtrl"))
        assert [cell.folder for cell in outcome.failed] == [folder]
        assert "no permission to read it" in outcome.failed[0].reason
    assert store.standing(folder, read=True).state == "finished"


def test_clean_says_what_it_cannot_remove_and_goes_on(tmp_path, monkeypatch):
    store = Store(tmp_path)
    one, other = store.cells / "a-seed0-1", store.cells / "b-seed0-2"
    for path in (one, other):
        path.mkdir(parents=True)
    plain = shutil.rmtree

    def rmtree(path, *arguments, **more):
        if Path(path) == one:
            raise PermissionError(13, "Permission denied", str(path))
        plain(path, *arguments, **more)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    lines = []
    gone = remove([Rubbish(p, "stale", "", 0) for p in (one, other)], store, lines.append)
    assert gone == [other]
    assert len(lines) == 1
    assert str(one) in lines[0]


@pytest.mark.parametrize("name", ["ENOLCK", "ENOTSUP"])
def test_no_locks_are_said_before_the_data_are_made_ready(name, make_run, monkeypatch, tmp_path):
    import errno
    import fcntl

    from benchmark.errors import UserError

    def none(*arguments):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(UserError, match="no locks") as caught:
        Locks(tmp_path / "cells" / LOCKS).require()
    assert str(tmp_path / "cells") in str(caught.value)
    with pytest.raises(UserError, match="no locks"):
        make_run(methods=("unet3d",))
    assert not list(tmp_path.rglob("plan.json"))

"""Fuzz a reader for some time: ``python tests/malformed/fuzz.py --seconds 60 --reader mhd``.

Hypothesis changes a valid file again and again. ``--engine atheris`` lets libFuzzer do it, led by
the lines that are reached (``pip install atheris``). A file that is not read or refused in one
line, takes 10 s or 1 GB is kept beside the message, and the exit status is 1; 2 where nothing
could be fuzzed.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

LONGEST, MOST = 10.0, 1 << 30
BATCH = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--reader", action="append", help="by default all, one after another")
    parser.add_argument("--engine", choices=["hypothesis", "atheris"], default="hypothesis")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder of faults")
    options = parser.parse_args()
    if options.folder:  # the process of one reader
        os.environ["XDG_CACHE_HOME"] = str(options.folder / "cache")
        return _fuzz(options, options.reader[0], options.folder)
    if options.engine == "atheris":
        try:
            import atheris  # noqa: F401
        except ImportError as error:
            print(
                f"fuzz.py: --engine atheris cannot be had here ({error}); pip install atheris, or "
                "leave the option out",
                file=sys.stderr,
            )
            return 2
    from readers import make_readers

    with tempfile.TemporaryDirectory() as folder:
        known = list(make_readers(Path(folder)))
    names = options.reader or known
    for name in names:
        if name not in known:
            print(f"fuzz.py: no reader {name!r} (there is: {', '.join(known)})", file=sys.stderr)
            return 2
    return max([_in_a_process(options, name) for name in names])


def _in_a_process(options, name: str) -> int:
    """Fuzz one reader in a process of its own: what dies spares the rest, and is told of."""
    with tempfile.TemporaryDirectory() as folder:
        own = [sys.executable, "-W", "ignore", __file__, "--reader", name, "--folder", folder]
        own += ["--seconds", str(options.seconds), "--engine", options.engine]
        own += ["--seed", str(options.seed), "--keep", str(options.keep)]
        status = subprocess.run(own, check=False).returncode
        if status < 0:
            from readers import make_readers

            inside = make_readers(Path(folder) / "names")[name].name
            options.keep.mkdir(parents=True, exist_ok=True)
            place = options.keep / f"{name}-{Path(inside).name}"
            shutil.copy(Path(folder) / inside, place)
            print(f"{name}: the process died of signal {-status}; kept: {place}", flush=True)
        return int(status != 0)


def _fuzz(options, name: str, folder: Path) -> int:
    if options.engine == "atheris":
        import atheris

        # readers import what they need as late as they can: one valid file, so that all is counted
        with atheris.instrument_imports(include=["benchmark"]):
            reader, path = _prepared(name, folder)
            path.write_bytes(reader.valid)
            reader.read(path)
    else:
        reader, path = _prepared(name, folder)
    _limit_memory()
    if options.engine == "atheris":
        return _atheris(options, name, reader, path)
    return _hypothesis(options, name, reader, path)


def _prepared(name: str, folder: Path):
    """A reader, and the path of its file."""
    from readers import make_readers

    reader = make_readers(folder)[name]
    path = folder / reader.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return reader, path


def _limit_memory() -> None:
    """Make what asks for more than `MOST` fail, and so be seen."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MOST,) * 2)


def _hypothesis(options, name: str, reader, path: Path) -> int:
    from hypothesis import HealthCheck, given, seed, settings
    from mutations import spoiled
    from readers import one_line

    begin, count = time.monotonic(), 0

    def attempt(data: bytes) -> None:
        nonlocal count
        count += 1
        path.write_bytes(data)
        started = time.monotonic()
        one_line(reader.read, path)
        assert time.monotonic() - started < LONGEST, "it took too long"

    batch = options.seed
    while time.monotonic() - begin < options.seconds:
        batch += 1
        test = given(spoiled(reader.valid, reader.words))(attempt)
        test = seed(batch)(test)
        test = settings(
            max_examples=BATCH, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )(test)  # fmt: skip
        try:
            test()
        except Exception as error:
            _keep(options, name, reader, path.read_bytes())
            print(f"{name}: fault after {count} files: {type(error).__name__}: {error}")
            raise
    print(f"{name}: {count} files in {time.monotonic() - begin:.0f} s, no fault", flush=True)
    return 0


def _atheris(options, name: str, reader, path: Path) -> int:
    import atheris
    from readers import one_line

    seeds = path.parent / f"seeds-{name}"
    seeds.mkdir()
    (seeds / "valid").write_bytes(reader.valid)

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        try:
            one_line(reader.read, path)
        except Exception:
            _keep(options, name, reader, data)
            raise

    arguments = [f"-max_total_time={options.seconds:.0f}", f"-timeout={LONGEST:.0f}"]
    limits = ["-rss_limit_mb=1500", f"-max_len={len(reader.valid) * 2 + 64}"]
    own = [f"-artifact_prefix={options.keep}/{name}-", "-print_final_stats=1"]
    options.keep.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *arguments, *limits, *own, str(seeds)], attempt)
    atheris.Fuzz()
    return 0


def _keep(options, name: str, reader, data: bytes) -> None:
    options.keep.mkdir(parents=True, exist_ok=True)
    place = options.keep / f"{name}-{Path(reader.name).name}"
    place.write_bytes(data)
    print(f"kept: {place}")


if __name__ == "__main__":
    sys.exit(main())

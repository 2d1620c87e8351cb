"""Quiet for ITK's libraries, which write to the terminal what an exception says as well."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep ITK's libraries from writing to the terminal: what is wrong, an exception says."""
    with _HUSHED:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


_HUSHED = threading.RLock()

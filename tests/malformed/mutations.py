"""Random changes of a file's bytes, as Hypothesis draws and shrinks them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

NUMBERS = tuple(
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, values in (
        ("h", (0, -1, 32767, -32768)),
        ("i", (0, -1, 2**31 - 1, -(2**31), 1 << 24)),
        ("q", (-1, 2**63 - 1, 10**12)),
        ("f", (float("nan"), float("inf"), -1.0, 1e30, 0.0)),
        ("d", (float("nan"), 1e300)),
    )
    for value in values
)
"""Numbers at which sizes and distances go wrong, as they stand in a binary header."""


@st.composite
def spoiled(draw, valid: bytes, words: tuple[bytes, ...] = ()) -> bytes:
    """A valid file with one to five changes, more of them near its beginning."""
    data = bytearray(valid)
    pieces = st.sampled_from((*NUMBERS, *words)) | st.binary(min_size=1, max_size=8)
    for _ in range(draw(st.integers(1, 5))):
        head = draw(st.booleans())
        place = draw(st.integers(0, min(len(data), 512) if head else len(data)))
        change = draw(st.sampled_from(("put", "put", "put", "insert", "cut", "end", "again")))
        if change == "put":
            piece = draw(pieces)
            data[place : place + len(piece)] = piece
        elif change == "insert":
            data[place:place] = draw(pieces)
        elif change == "cut":
            del data[place : place + draw(st.integers(1, 64))]
        elif change == "again":
            length = draw(st.integers(1, 64))
            data[place:place] = data[place : place + length]
        else:
            del data[place:]
    return bytes(data)

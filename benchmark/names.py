"""Names are text: what is read in a method's name, how titles and files are told apart.

Names come from people: a folder may be called ``c++`` or ``a,b``, two classes may share a name,
an option may hold brackets. Nothing here loads a method.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePath

from benchmark.errors import UserError

LONGEST_SLUG = 100
"""Characters of a file's name that a method gives; most systems take 255 with all that follows."""

LONGEST_PATH = 4096
"""Characters of a name that may hold a path, which no system takes longer."""

_OWN = re.compile(r"(?P<path>.+\.py|[\w.]+):(?P<cls>[^\W\d]\w*)", re.DOTALL)
"""The user's own class, ``path/to/net.py:Net``, or that of an installed module."""
_OPENING, _CLOSING = "[{(", "]})"


def own_class(base: str) -> tuple[str, str] | None:
    """File (or module) and class of ``path/to/net.py:Net``; None if the name is of another form."""
    found = _OWN.fullmatch(base)
    return (found["path"], found["cls"]) if found else None


def is_own_file(base: str) -> bool:
    """Whether a name without options is that of a class in a file that is there."""
    found = own_class(base)
    try:
        return found is not None and Path(found[0]).is_file()
    except OSError:
        return False  # longer than a name may be


def split_base(name: str, known: Collection[str] = ()) -> tuple[str, str]:
    """A method's name without its options, and ``"+option=value..."``, empty where there are none.

    A sign ``+`` also stands in the names of folders: what is a file or a known name wins.

    Parameters
    ----------
    name : str
    known : collection of str
        Names that are no files.

    Raises
    ------
    UserError
        If two files that are there could be meant.
    """
    ends = [place for place, letter in enumerate(name) if letter == "+"]
    readings = [(name[:end], name[end:]) for end in (*ends, len(name))]
    readings = [(base, rest) for base, rest in readings if not rest or _are_options(rest)]
    there = [one for one in readings if one[0] in known or is_own_file(one[0])]
    if len(there) > 1:
        raise UserError(
            f"method {name!r} may be {there[0][0]!r} with options or {there[-1][0]!r}: rename the "
            "file of one of them"
        )
    shaped = [one for one in readings if own_class(one[0])]
    if there or shaped:
        return (there or shaped)[0]
    base, plus, rest = name.partition("+")
    return base, plus + rest


def option_texts(rest: str) -> list[tuple[str, str]] | None:
    """Options and values of ``+option=value+option=value``; None if it is not so written.

    A sign ``+`` that stands in brackets or quotes, or before another sign than a letter's (1e+3),
    belongs to the value.
    """
    cuts = [p for p in _free(rest, "+") if re.match(r"[^\W\d]", rest[p + 1 : p + 2])]
    if rest and (not cuts or cuts[0] != 0):
        return None
    pairs = []
    for begin, end in zip(cuts, [*cuts[1:], len(rest)], strict=True):
        option, equals, value = rest[begin + 1 : end].partition("=")
        option = option.strip()
        if not equals or not option.isidentifier() or not value.strip():
            return None
        pairs.append((option, value))
    return pairs


def split_names(text: str, known: Collection[str] = ()) -> list[str]:
    """Method names at commas, but not at those of a list, nor at those of a file's path.

    Parameters
    ----------
    text : str
        ``a,b+gates=[coronal, sagittal],x,y/net.py:Net``.
    known : collection of str
        Names that are no files.

    Raises
    ------
    UserError
        If a part may be one file or several methods.
    """
    pieces = text.split(",")
    names, place = [], 0
    while place < len(pieces):
        ends = range(len(pieces), place, -1)
        joined = (((",".join(pieces[place:end])).strip(), end) for end in ends)
        name, end = next(
            (one for one in joined if _is_there(one[0], known)), _closed(pieces, place)
        )
        alone = [piece.strip() for piece in pieces[place:end]]
        if len(alone) > 1 and all(_is_there(piece, known) for piece in alone):
            raise UserError(
                f"{name!r} is one file and also {len(alone)} methods: name each by an option of "
                "its own, and rename the file"
            )
        names.append(name)
        place = end
    return [name for name in names if name]


def _is_there(name: str, known: Collection[str]) -> bool:
    """Whether a text is a known name or a file's class, with options or without."""
    base, rest = split_base(name, known)
    return (base in known or is_own_file(base)) and not _free(rest, ",")


def _closed(pieces: Sequence[str], place: int) -> tuple[str, int]:
    """The pieces up to the one that closes all brackets; the first alone if none does."""
    for end in range(place + 1, len(pieces) + 1):
        text = ",".join(pieces[place:end])
        if sum(map(text.count, _OPENING)) <= sum(map(text.count, _CLOSING)):
            return text.strip(), end
    return pieces[place].strip(), place + 1


def _are_options(rest: str) -> bool:
    return option_texts(rest) is not None


def _free(text: str, sign: str) -> list[int]:
    """Places of a sign outside of brackets and quotes; a quote begins where a value may begin."""
    found, depth, quote, before = [], 0, "", ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and before in ("=", *_OPENING, ",", ":"):
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth = max(0, depth - 1)
        elif letter == sign and not depth:
            found.append(place)
        before = before if letter == " " else letter
    return found


def told_apart(titles: Iterable[tuple[str, str]], fixed: Collection[str] = ()) -> dict[str, str]:
    """Titles under which no two methods can be confused.

    Where two are equal, the path of each file stands behind it, as far as it differs, or else the
    whole name.

    Parameters
    ----------
    titles : iterable of (str, str)
        Name and title of each; names are unlike.
    fixed : collection of str
        Names whose title stays as it is, those of this program's own methods.

    Returns
    -------
    dict of str
        Titles by name.
    """
    plain = dict(titles)
    found = dict(plain)
    for group in _twice(found):
        tails = _tails([name for name in group if _file_of(name)])
        stays = [name for name in group if name in fixed][:1]
        for name in group:
            if name not in stays:
                found[name] = f"{plain[name]} ({tails.get(name, name)})"
    for group in _twice(found):
        for name in group[1:]:
            found[name] = f"{plain[name]} ({name})"
    for group in _twice(found):
        for number, name in enumerate(group, start=1):
            found[name] = f"{found[name]} #{number}"
    return _with_bases(plain, found)


def _with_bases(plain: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    """Ablations of a class whose title got its path get it too: ``Net (one/net.py) depth 3``."""
    made = dict(found)
    for name, title in plain.items():
        base = _own_part(name)
        if base == name or found.get(base, title) == plain.get(base, title):
            continue
        if found[name] == title and title.startswith(f"{plain[base]} "):
            made[name] = found[base] + title[len(plain[base]) :]
    return made


def _twice(titles: dict[str, str]) -> list[list[str]]:
    """Names that share a title, title by title."""
    groups: dict[str, list[str]] = {}
    for name, title in titles.items():
        groups.setdefault(" ".join(title.split()), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _own_part(name: str) -> str:
    """``path/to/net.py:Net`` of a name with options, by its letters alone; else the name."""
    if len(name) > LONGEST_PATH:
        return name
    found = re.match(r".+?\.py:[^\W\d]\w*(?=\+|$)", name, re.DOTALL)
    return found[0] if found else name


def _file_of(name: str) -> str:
    path, _, cls = _own_part(name).rpartition(":")
    return path if path.endswith(".py") and cls.isidentifier() else ""


def _tails(names: list[str]) -> dict[str, str]:
    """The last parts of each name's path, as many as tell all apart; empty where none do."""
    paths = {name: PurePath(_file_of(name)).parts for name in names}
    for count in range(1, max(map(len, paths.values()), default=0) + 1):
        tails = {name: str(PurePath(*parts[-count:])) for name, parts in paths.items()}
        if len(set(tails.values())) == len(tails):
            return tails
    return {}


def slug(name: str) -> str:
    """A method's name fit for a file: ``path/to/net.py:Net`` becomes ``net-Net``."""
    stem, _, cls = name.rpartition(":")
    text = f"{Path(stem).stem}-{cls}" if stem else name
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")
    return plain[:LONGEST_SLUG] or "unnamed"


def system_name(title: str) -> str:
    """The name of a system made elsewhere, fit for a folder, from its title.

    Letters that no slug keeps, as in a name in Chinese, give digits of a hash in their place, so
    that two such systems have two names.
    """
    plain = re.sub(r"[^a-z0-9_.]+", "-", title.lower()).strip("-.")[:LONGEST_SLUG] or "given"
    if any(letter.isalnum() and not letter.isascii() for letter in title):
        return f"{plain}-{_digest(title)}"
    return plain


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Names of files, one for each method and none for two, whatever case a disk tells apart.

    Where `slug` gives one for two, the folder stands before it, ``one-net-Net``, or digits of a
    hash of the name behind it.
    """
    names = list(dict.fromkeys(names))
    found = {name: slug(name) for name in names}
    for longer in (_with_folder, _with_hash):
        counts = Counter(text.lower() for text in found.values())
        found = {
            name: text if counts[text.lower()] == 1 else longer(name)
            for name, text in found.items()
        }
    return found


def _with_folder(name: str) -> str:
    folder = PurePath(_file_of(name)).parent.name
    return slug(f"{folder}-{slug(name)}") if folder else slug(name)


def _with_hash(name: str) -> str:
    return f"{slug(name)}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]

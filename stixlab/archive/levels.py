"""Reduced levels: smallest, mean and largest value in bins of a minute to a day, so that years are plotted from little.

A level is kept in one file a day, a month or a year, the wider its bins the longer (NumPy's ``.npz``: a zip of arrays, read one by one), named by content and
replaced whole when one of its days changes. All widths divide a day, so each day has bins of its own.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab import files
from stixlab.archive import layout
from stixlab.archive.contents import Contents, Form, LevelFile, Row, Variable, read_contents
from stixlab.archive.reduction import Arrays, reduce_bins
from stixlab.archive.stored_arrays import Part, read_part
from stixlab.errors import ArchiveError, NotInCatalogError, ParameterError

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive.store import Archive

__all__ = ["WIDTHS_S", "choose_width", "open_levels", "reducible", "update_levels"]

log = logging.getLogger(__name__)


_FINE, _COARSE = (60, 600, 7_200, 86_400), (600, 7_200, 86_400)
WIDTHS_S: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "ql-lightcurve": _FINE,
        "ql-background": _FINE,
        "ql-variance": _FINE,
        "ql-spectra": _COARSE,
        "hk-mini": _COARSE,
        "hk-maxi": _COARSE,
    }
)
"""Widths of bins in s, by product type; every width divides a day, the finest holds several bins of the data."""
_BY_DAY_S, _BY_MONTH_S = 60, 600
"""Levels of no wider bins are in files of a day, of a month; others of a year."""
_MOST_VALUES = 64
"""Variables with more values a bin have no reduced form."""
_LEFT_OUT = ("_error", "_mask", "_scheme", "_valid")
_ALWAYS = ("time", "n_samples")
_KEPT_BYTES = 1 << 24
_DATE = (1980, 1, 1, 0, 0, 0)


def reducible(form: Form) -> list[str]:
    """Names of the variables that have a reduced form: numbers along time that can be averaged."""
    return [
        name
        for name, v in form.variables.items()
        if v.dims[:1] == ("time",)
        and np.dtype(v.dtype).kind in "uif"
        and int(np.prod(v.sizes[1:], dtype=np.int64)) <= _MOST_VALUES
        and not name.endswith(_LEFT_OUT)
        and not name.startswith("scet_")
        and "flag_masks" not in v.attrs
    ]


def choose_width(product_type: str, span_s: float, max_bins: int) -> int:
    """The finest width with which a span has no more than `max_bins` bins; the widest if none has; 0 without levels."""
    widths = WIDTHS_S.get(product_type, ())
    return next((w for w in widths if span_s <= w * max_bins), widths[-1] if widths else 0)


def _span(width_s: int, day: str) -> str:
    digits = 8 if width_s <= _BY_DAY_S else 6 if width_s <= _BY_MONTH_S else 4
    return day.replace("-", "")[:digits]


def update_levels(
    archive: Archive, contents: Contents, days: Iterable[str], *, again: bool = False
) -> tuple[tuple[LevelFile, ...], set[str]]:
    """Bring the reduced levels of some days up to date with the datasets that the table names.

    Parameters
    ----------
    archive
        Opened for writing.
    contents
        With the datasets as they are now, and the levels as they were.
    days
        UTC days that changed, as ``2021-06-06``.
    again
        Write level files anew that are there already, for they may be damaged, and leave out datasets that are.

    Returns
    -------
    tuple of LevelFile
        All level files as they are now; those that were replaced stay on the disk.
    set of str
        Keys of those that were replaced.

    Raises
    ------
    ArchiveError
        If a dataset or a level cannot be read or written.
    """
    widths, touched = WIDTHS_S.get(contents.type, ()), sorted(set(days))
    levels = {(v.width_s, v.span, v.form): v for v in contents.levels}
    chosen = [r for r in contents.rows if r.day in touched]
    fresh = _reduced(archive, contents, chosen, widths, tolerant=again)
    spans = {(w, _span(w, day)) for w in widths for day in touched}
    replaced = set()
    for place in sorted({*fresh, *(k for k in levels if k[:2] in spans)}):
        old = levels.pop(place, None)
        pieces = fresh[place]
        if old is not None and not _all_of(place, touched):
            kept = _others(archive, contents, place, old.key, touched)
            pieces = [*(k for k in kept if len(k["time"])), *pieces]
        if pieces:
            levels[place] = _write(archive, contents, place, _joined(pieces), again=again)
        if old is not None and old != levels.get(place):
            replaced.add(old.key)
    return tuple(levels[k] for k in sorted(levels)), replaced


def _reduced(
    archive: Archive,
    contents: Contents,
    rows: Iterable[Row],
    widths: Sequence[int],
    *,
    tolerant: bool = False,
) -> dict[tuple[int, str, str], list[Arrays]]:
    """Reduced bins of datasets by width, span and form."""
    found: dict[tuple[int, str, str], list[Arrays]] = defaultdict(list)
    for row in (r for r in rows if r.n_times):
        try:
            made = list(_reduced_day(archive, contents.forms[row.form], row, widths))
        except ArchiveError as error:
            if not tolerant:
                raise
            log.warning("no levels of a damaged dataset", extra={"key": row.key, "error": error.message})
            continue
        for width, arrays in made:
            found[width, _span(width, row.day), row.form].append(arrays)
    return found


def _all_of(place: tuple[int, str, str], days: Sequence[str]) -> bool:
    """Whether a level file has no other days than these."""
    return place[0] <= _BY_DAY_S and any(_span(place[0], day) == place[1] for day in days)


def _others(
    archive: Archive, contents: Contents, place: tuple[int, str, str], key: str, days: Sequence[str]
) -> list[Arrays]:
    """Bins of a level that are not of these days; made again from the datasets if the level is damaged."""
    width, span, form = place
    try:
        written = _WRITTEN.get(archive.path(key))
        return [_without(written if written is not None else read_level(archive, key), days)]
    except ArchiveError as error:
        log.warning("a damaged level is made again", extra={"key": key, "error": error.message})
    rows = [r for r in contents.rows if (_span(width, r.day), r.form) == (span, form) and r.day not in days]
    return _reduced(archive, contents, rows, [width])[place]


def _reduced_day(
    archive: Archive, form: Form, row: Row, widths: Sequence[int]
) -> Iterable[tuple[int, Arrays]]:
    part = Part(str(archive.path(row.key)), row.day, 0, row.n_times, row.n_times, row.chunk)
    names = reducible(form)
    flags = [n for n in names if f"{n}_valid" in form.variables]
    times = read_part(part, "time", "datetime64[ns]")
    values = {n: read_part(part, n, form.variables[n].dtype) for n in names}
    valid = {n: read_part(part, f"{n}_valid", form.variables[f"{n}_valid"].dtype).astype(bool) for n in flags}
    for width in widths:
        yield width, reduce_bins(times, values, width, valid)


def _without(arrays: Arrays, days: Sequence[str]) -> Arrays:
    """What is not of these days."""
    day = arrays["time"].astype("datetime64[ns]").astype("datetime64[D]")
    keep = ~np.isin(day, np.array(days, dtype="datetime64[D]"))
    return {n: a[keep] if n in _ALWAYS else a[:, keep] for n, a in arrays.items()}


def _joined(pieces: list[Arrays]) -> Arrays:
    joined = {
        n: np.concatenate([p[n] for p in pieces], axis=0 if n in _ALWAYS else 1) for n in sorted(pieces[0])
    }
    order = np.argsort(joined["time"], kind="stable")
    return {n: a[order] if n in _ALWAYS else a[:, order] for n, a in joined.items()}


def level_sha256(arrays: Arrays) -> str:
    """Hash of what a level holds."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{values.dtype.str}|{values.shape};".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _write(
    archive: Archive, contents: Contents, place: tuple[int, str, str], arrays: Arrays, *, again: bool
) -> LevelFile:
    width, span, form = place
    key = layout.level_key(
        contents.level,
        contents.type,
        contents.origin,
        width_s=width,
        span=span,
        content_sha256=level_sha256(arrays),
    )
    path = archive.path(key)
    if again or not path.exists():
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for name, values in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
                info = zipfile.ZipInfo(f"{name}.npy", _DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(info, member.getvalue())
        files.write_bytes(path, content.getbuffer())
        _remember(path, arrays)
    return LevelFile(key, width, span, form, len(arrays["time"]))


_WRITTEN: dict[Path, Arrays] = {}
"""Levels that this process has written last: the next file of the day adds to them. A path names a content."""


def _remember(path: Path, arrays: Arrays) -> None:
    _WRITTEN[path] = arrays
    while sum(a.nbytes for kept in list(_WRITTEN.values()) for a in kept.values()) > _KEPT_BYTES:
        _WRITTEN.pop(next(iter(_WRITTEN)), None)


def read_level(archive: Archive, key: str, names: Sequence[str] | None = None) -> Arrays:
    """Arrays of a level file: times, number of samples, and the variables named (by default all).

    Raises
    ------
    ArchiveError
        If it is missing or damaged.
    """
    path = archive.path(key)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            wanted = found.files if names is None else [*_ALWAYS, *names]
            return {n: found[n] for n in wanted}
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ArchiveError(
            f"{Path(key).name}: expected a reduced level; {type(error).__name__}: {error}; `stixlab doctor --archive --repair`"
            " makes it again",
            path=path,
        ) from error


def open_levels(
    archive: Archive,
    product_type: str,
    start: np.datetime64 | None = None,
    end: np.datetime64 | None = None,
    *,
    width_s: int,
    names: Sequence[str] | None = None,
    level: str = "L1",
    origin: str = "flight",
) -> list[xr.Dataset]:
    """Reduced bins that touch ``[start, end)``.

    Parameters
    ----------
    archive
    product_type, level, origin
    start, end
        UTC. Open where None.
    width_s
        One of `WIDTHS_S`; `choose_width` finds it.
    names
        Variables, by default all; only what is named is read.

    Returns
    -------
    list of xarray.Dataset
        One for each set of energies, in the order of their first bins; usually one. Of a variable ``counts`` there are
        ``counts`` (the mean of the samples in a bin), ``counts_min`` and ``counts_max``, and ``n_samples`` of all.
        Bins without data are not there.

    Raises
    ------
    ParameterError
        If there is no level of that width, or no variable of that name.
    NotInCatalogError
        If there is nothing in the range.
    ArchiveError
        If a level is missing or damaged.
    """
    if width_s not in WIDTHS_S.get(product_type, ()):
        there = ", ".join(map(str, WIDTHS_S.get(product_type, ()))) or "none"
        raise ParameterError(f"{product_type}: expected a width of reduced bins, s: {there}; found {width_s}")
    contents = read_contents(archive, level, product_type, origin)
    pieces = _pieces(archive, contents, start, end, width_s=width_s, names=names)
    if not pieces:
        raise NotInCatalogError(
            f"{product_type} {level} ({origin}): nothing from {start or 'the first'} to {end or 'the last'}"
        )
    order = sorted(pieces, key=lambda form: int(min(p["time"][0] for p in pieces[form])))
    made = [_level_dataset(contents.forms[f], _joined(pieces[f]), width_s) for f in order]
    facts = {"product": product_type, "level": level, "origin": origin, "bin_width_s": width_s}
    return [ds.assign_attrs(facts) for ds in made]


def _pieces(
    archive: Archive,
    contents: Contents,
    start: np.datetime64 | None,
    end: np.datetime64 | None,
    *,
    width_s: int,
    names: Sequence[str] | None,
) -> dict[str, list[Arrays]]:
    """Bins of one width that touch the range, of each form what each file has of it."""
    first = "" if start is None else _span(width_s, str(start.astype("datetime64[D]")))
    last = "9" if end is None else _span(width_s, str(end.astype("datetime64[D]")))
    pieces: dict[str, list[Arrays]] = defaultdict(list)
    for each in contents.levels:
        if each.width_s == width_s and first <= each.span <= last:
            chosen = _names(contents, each.form, names)
            found = _between(read_level(archive, each.key, chosen), start, end, width_s)
            if len(found["time"]):
                pieces[each.form].append(found)
    return pieces


def _names(contents: Contents, form: str, names: Sequence[str] | None) -> list[str]:
    there = reducible(contents.forms[form])
    if names is None:
        return there
    if missing := [n for n in names if n not in there]:
        raise ParameterError(
            f"{contents.type}: expected variables of {', '.join(there)}; found {', '.join(missing)}"
        )
    return list(names)


def _between(arrays: Arrays, start: np.datetime64 | None, end: np.datetime64 | None, width_s: int) -> Arrays:
    time = arrays["time"].astype("datetime64[ns]")
    low = 0 if start is None else int(np.searchsorted(time + np.timedelta64(width_s, "s"), start, "right"))
    high = len(time) if end is None else int(np.searchsorted(time, end, "left"))
    return {n: a[low:high] if n in _ALWAYS else a[:, low:high] for n, a in arrays.items()}


def _level_dataset(form: Form, arrays: Arrays, width_s: int) -> xr.Dataset:
    import xarray as xr

    start = arrays["time"].astype("datetime64[ns]")
    width = np.timedelta64(width_s, "s").astype("timedelta64[ns]")
    data: dict[str, Any] = {
        "n_samples": ("time", arrays["n_samples"], {"long_name": "samples in the bin", "units": "1"})
    }
    for name in (n for n in arrays if n not in _ALWAYS):
        variable = form.variables[name]
        for suffix, told, values in zip(
            ("_min", "", "_max"), ("smallest", "mean", "largest"), arrays[name], strict=True
        ):
            data[f"{name}{suffix}"] = (variable.dims, values, _level_attrs(variable, told))
    coords: dict[str, Any] = {
        "time": (
            "time",
            start + width // 2,
            {"long_name": "middle of the bin, UTC", "bounds": "time_bounds"},
        ),
        "time_bounds": (("time", "bound"), np.stack([start, start + width], axis=1)),
    }
    used = {d for v in data.values() for d in ((v[0],) if isinstance(v[0], str) else v[0])}
    for name, variable in form.variables.items():
        if "time" not in variable.dims and variable.coordinate and used & set(variable.dims):
            coords[name] = (variable.dims, variable.constant(), variable.decoded_attrs())
    return xr.Dataset(data, coords)


def _level_attrs(variable: Variable, told: str) -> dict[str, Any]:
    text = variable.attrs.get("long_name", "")
    return {"units": variable.attrs.get("units", "1"), "long_name": f"{text}, {told} in the bin".lstrip(", ")}

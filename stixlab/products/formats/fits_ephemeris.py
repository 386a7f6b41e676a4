"""The ancillary ephemeris as FITS, in the form of the official ``stix-asp-ephemeris``."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.ephemeris import EPHEMERIS
from stixlab.ephemeris.provider import Ephemerides
from stixlab.errors import SchemaError
from stixlab.files import write_bytes
from stixlab.products.completeness import completeness_of_day
from stixlab.products.formats.fits_campaign import campaign_cards
from stixlab.vocabulary import check

if TYPE_CHECKING:
    import xarray as xr
    from astropy.io.fits import HDUList, Header

__all__ = ["ephemeris_fits_name", "ephemeris_hdus", "write_ephemeris_fits"]


def ephemeris_fits_name(day: np.datetime64, version: int, *, complete: bool = True) -> str:
    """File name, such as ``solo_ANC_stix-asp-ephemeris_20221111_V02.fits``; V02U if the day is not covered."""
    date = str(day.astype("datetime64[D]")).replace("-", "")
    return f"solo_ANC_stix-asp-ephemeris_{date}_V{version:02d}{'' if complete else 'U'}.fits"


def write_ephemeris_fits(
    ds: xr.Dataset, path: Path, *, ephemerides: Ephemerides, version: int, created: datetime
) -> tuple[str, int]:
    """Write the ancillary ephemeris of a day: the whole file or nothing.

    Parameters
    ----------
    ds
        Of `stixlab.products.ephemeris.make_ephemeris`.
    path
        Its name is the FILENAME of the header.
    ephemerides
        For the keywords of the header.
    version
        From 1.
    created
        UTC, the DATE of the header.

    Returns
    -------
    str, int
        SHA-256 of the file, and its size in bytes.

    Raises
    ------
    SchemaError
        If the dataset departs from its declaration, or is empty.
    ArchiveError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    ephemeris_hdus(ds, filename=path.name, ephemerides=ephemerides, version=version, created=created).writeto(
        buffer
    )
    content = buffer.getbuffer()
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest(), len(content)


def ephemeris_hdus(
    ds: xr.Dataset, *, filename: str, ephemerides: Ephemerides, version: int, created: datetime
) -> HDUList:
    """HDUs PRIMARY, CONTROL and DATA; see `write_ephemeris_fits`.

    Raises
    ------
    SchemaError
        If the dataset departs from its declaration, or is empty.
    """
    from astropy.io.fits import BinTableHDU, Column, HDUList, PrimaryHDU

    check(ds, EPHEMERIS)
    if not ds.sizes["time"]:
        raise SchemaError("FITS of asp-ephemeris: expected at least one time; found none")
    data = {str(name): ds[name].to_numpy() for name in ds.variables}
    begin = data["time_bounds"].min()
    n = len(data["time"])
    control = [
        Column("scet_coarse", "J", unit="s", bzero=1 << 31, array=data["scet_coarse"]),
        Column("scet_fine", "I", bzero=1 << 15, array=data["scet_fine"]),
        Column("index", "J", array=np.arange(n, dtype=np.int32)),
    ]
    hdus = HDUList(
        [
            PrimaryHDU(
                header=_header(
                    ds, data, filename=filename, ephemerides=ephemerides, version=version, created=created
                )
            ),
            BinTableHDU.from_columns(control, name="CONTROL", uint=True),
            BinTableHDU.from_columns(_columns(data, begin), name="DATA"),
        ]
    )
    hdus.update_extend()
    for hdu in hdus:
        hdu.add_checksum(when=f"as of {created:%Y-%m-%dT%H:%M:%S}")
    return hdus


def _columns(data: dict[str, NDArray[Any]], begin: np.datetime64) -> list[Any]:
    from astropy.io.fits import Column

    def group(*names: str) -> NDArray[np.float64]:
        return np.stack([data[n] for n in names], axis=1)

    bounds = data["time_bounds"]
    attitude = np.where(data["attitude_valid"][:, None], group("roll", "pitch", "yaw"), np.nan)
    aspect = np.where(data["aspect_valid"][:, None], group("aspect_y", "aspect_z"), np.nan)
    return [
        Column("time", "D", unit="s", array=(data["time"] - begin).astype(np.int64) / 1e9),
        Column("timedel", "D", unit="s", array=(bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e9),
        Column("time_utc", "26A", array=np.datetime_as_string(data["time"], unit="us")),
        Column("control_index", "J", array=np.arange(len(bounds), dtype=np.int32)),
        Column("spice_disc_size", "D", unit="arcsec", array=data["sun_radius"]),
        Column("y_srf", "D", unit="arcsec", array=aspect[:, 0]),
        Column("z_srf", "D", unit="arcsec", array=aspect[:, 1]),
        Column("sas_ok", "I", array=data["aspect_valid"].astype(np.int16)),
        Column("attitude_ok", "I", array=data["attitude_valid"].astype(np.int16)),
        Column(
            "solo_loc_carrington_lonlat",
            "2D",
            unit="deg",
            array=group("carrington_longitude", "stonyhurst_latitude"),
        ),
        Column(
            "solo_loc_stonyhurst_lonlat",
            "2D",
            unit="deg",
            array=group("stonyhurst_longitude", "stonyhurst_latitude"),
        ),
        Column("solo_loc_carrington_dist", "D", unit="km", array=data["distance"]),
        Column("solo_loc_heeq_zxy", "3D", unit="km", array=group("heeq_x", "heeq_y", "heeq_z")),
        Column("roll_angle_rpy", "3D", unit="deg", array=attitude),
        Column("position_accuracy", "D", unit="km", array=data["position_accuracy"]),
    ]


def _header(
    ds: xr.Dataset,
    data: dict[str, NDArray[Any]],
    *,
    filename: str,
    ephemerides: Ephemerides,
    version: int,
    created: datetime,
) -> Header:
    from astropy.io.fits import Header

    bounds = data["time_bounds"]
    begin, end = bounds.min(), bounds.max()
    middle = begin + (end - begin) // 2
    obt = data["scet_coarse"] + data["scet_fine"] / 65536
    covered = completeness_of_day([ds], middle.astype("datetime64[D]"))
    length_s = (bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e9
    header = Header()
    for keyword, value, comment in (
        ("FILENAME", filename, "name of this file"),
        ("DATE", created.strftime("%Y-%m-%dT%H:%M:%S"), "UTC when this file was made"),
        ("LEVEL", str(ds.attrs["level"]), "processing level"),
        ("ORIGIN", "stixlab", "where this file was made"),
        ("CREATOR", "stixlab", "software that made this file"),
        ("VERS_SW", str(ds.attrs.get("software_version", "")), "version of that software"),
        ("VERSION", f"{version:02d}", "version of the product"),
        ("OBSRVTRY", "Solar Orbiter", "satellite"),
        ("TELESCOP", "SOLO/STIX", "telescope"),
        ("INSTRUME", "STIX", "instrument"),
        ("STIXTYPE", EPHEMERIS.product, "product type"),
        ("OBT_BEG", float(obt.min()), "[s] on-board time of the start"),
        ("OBT_END", float((obt + length_s).max()), "[s] on-board time of the end"),
        ("TIMESYS", "UTC", "system of the times"),
        ("DATE-OBS", _iso(begin), "start"),
        ("DATE-BEG", _iso(begin), "start; column time counts from it"),
        ("DATE-AVG", _iso(middle), "middle"),
        ("DATE-END", _iso(end), "end"),
        ("ATTSRC", str(ds.attrs["attitude_source"]), "source of the attitude"),
        ("COMPLETE", covered.complete, "whether the day is covered"),
        *([("INCOMPL", covered.why, "why it is not")] if covered.why else []),
    ):
        header[keyword] = (value, comment) if len(f"{value}{comment}") <= 60 else value
    nothing = {keyword: (value, comment) for keyword, value, comment in campaign_cards({})[0]}
    for keyword, (value, comment) in (nothing | ephemerides.keywords(begin, end, middle)).items():
        header[keyword] = (value, comment) if len(f"{value}{comment}") <= 60 else value
    if ds.attrs.get("remark"):
        header.add_comment(str(ds.attrs["remark"]))
    header.add_comment(
        "solo_loc_heeq_zxy holds x, y, z; all positions hold at time_utc, the middle of the bin."
    )
    return header


def _iso(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="ms"))

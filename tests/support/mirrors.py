"""The files of a small public archive, and of the copy of one."""

from __future__ import annotations

ROOT = "/data/fits/L1/2021/06/"
LIGHT = f"{ROOT}06/QL/solo_L1_stix-ql-lightcurve_20210606_V02.fits"
BACKGROUND = f"{ROOT}06/QL/solo_L1_stix-ql-background_20210606_V02.fits"
PIXELS = f"{ROOT}07/SCI/solo_L1_stix-sci-xray-cpd_20210607T000000-20210607T010000_V02_2106070001-50883.fits"


def copies(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and ".mirror" not in p.parts
    }


def whole(archive, base="/data/fits/"):
    return {
        path.removeprefix(base): content for path, content in archive.files.items() if path.startswith(base)
    }

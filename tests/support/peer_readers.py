"""Reads FITS files with the programs of others and prints what they found, as JSON.

Run as a program of its own, which does not import stixlab. Arguments: ``product``, ``timeseries``, ``pixel_data`` or ``spectrogram``, and a file; and so on. An answer
for each, with ``error`` where the program fails.
"""

import json
import sys

import numpy as np


def product(path):
    from stixpy.product import Product

    found = Product(path)
    said = {"type": type(found).__name__, "n_times": len(found.data), "level": found.level}
    said["first"] = getattr(found.data["time"][0], "isot", "")
    said["columns"] = sorted(found.data.colnames)
    if hasattr(found, "get_data"):
        said["time_range"] = [str(found.time_range.start.isot), str(found.time_range.end.isot)]
        said["sum"] = float(np.sum(found.data["counts"]).value) if "counts" in found.data.colnames else None
        if "counts_comp_err" in found.data.colnames:
            counts, _errors, _times, lengths, energies = found.get_data()
            said["rate_shape"] = list(counts.shape)
            said["finite"] = bool(np.isfinite(counts.value[..., :-1]).all())
            said["seconds"] = float(np.sum(lengths.to_value("s")))
            said["low_edge"] = float(energies["e_low"][0].value)
    elif hasattr(found, "time_range"):
        said["time_range"] = [str(found.time_range.start.isot), str(found.time_range.end.isot)]
    return said


def timeseries(path):
    import stixpy.timeseries  # noqa: F401  (registers its sources)
    from sunpy.timeseries import TimeSeries

    found = TimeSeries(path)
    frame = found.to_dataframe()
    return {
        "type": type(found).__name__,
        "n_times": len(frame),
        "columns": list(map(str, frame.columns)),
        "first": frame.index[0].isoformat(),
        "units": {str(k): str(v) for k, v in found.units.items()},
        "sums": {str(c): float(frame[c].sum()) for c in frame.columns if frame[c].dtype.kind in "iuf"},
    }


def pixel_data(path):
    from stixdcpy.science import PixelData

    found = PixelData.from_fits(path)
    corrected = found.correct_dead_time()
    return {
        "n_times": len(found.time),
        "first": str(found.datetime[0]),
        "sum": float(found.counts.sum()),
        "request_id": int(found.request_id[0]),
        "live_ratio": [float(corrected["live_ratio"].min()), float(corrected["live_ratio"].max())],
        "total": float(found.get_sum_counts()["total"].sum()),
        "duration": float(found.duration),
    }


def spectrogram(path):
    import matplotlib as mpl

    mpl.use("Agg")
    from stixdcpy.science import Spectrogram, spec_fits_crop

    found = Spectrogram.from_fits(path)
    corrected = found.correct_dead_time()
    found.peek()
    cropped = path.replace(".fits", "_cropped.fits")
    begin, middle = found.datetime[0], found.datetime[len(found.time) // 2]
    spec_fits_crop(path, begin.isoformat(), middle.isoformat(), cropped)
    again = Spectrogram.from_fits(cropped)
    return {
        "n_times": len(found.time),
        "first": str(found.datetime[0]),
        "sum": float(found.counts.sum()),
        "request_id": int(found.request_id[0]),
        "live_ratio": [float(corrected["live_ratio"].min()), float(corrected["live_ratio"].max())],
        "n_cropped": len(again.time),
    }


if __name__ == "__main__":
    readers = {f.__name__: f for f in (product, timeseries, pixel_data, spectrogram)}
    answers = []
    for kind, path in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        try:
            answers.append(readers[kind](path))
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    print(json.dumps(answers))

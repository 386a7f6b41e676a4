"""Level 0 through the client: made from the stored packets when it is asked for."""

from dataclasses import replace

import numpy as np
import pytest

from stixlab.errors import AccessError, NotInCatalogError, ParameterError, SchemaError
from stixlab.telemetry.compression import decompress
from tests.support.chain import Chain, chain_of, new_chain
from tests.support.light_curves import day_of_packets
from tests.support.science import pixel_request

REQUEST = "sci-xray-cpd_2505080001-50001_flight"
OTHER_BANDS = sum(1 << e for e in (1, 7, 12, 17, 23, 31))


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    """A night over midnight in two files, some packets in both; a day with other bands; a request."""
    packets = day_of_packets(seed=5, n_packets=6, n_bins=50, start="2021-06-05T23:50:00")
    others = day_of_packets(n_packets=2, start="2021-06-09T12:00:00", edge_mask=OTHER_BANDS)
    folder = tmp_path_factory.mktemp("level0")
    chain = chain_of(folder, *packets[::-1][:4], *others, pixel_request(4))
    (folder / "late.bin").write_bytes(b"".join(p.data.tobytes() for p in packets[:3]))
    assert not chain.ingest(folder / "late.bin").failed
    return chain


@pytest.fixture
def lab(chain):
    return chain.lab


@pytest.mark.parametrize(
    ("start", "end"),
    [("2021-06-05", "2021-06-06"), ("2021-06-05", "2021-06-07"), ("2021-06-05T23:55", "2021-06-06T00:05:01")],
)
def test_bins_are_those_of_level_1_with_codes_as_sent(lab, start, end):
    raw, counts = (lab.open("ql-lightcurve", start, end, level=level) for level in ("L0", "L1"))
    assert raw.attrs["level"] == "L0"
    assert raw.attrs["origin"] == "flight"
    assert raw.chunks
    assert raw["counts_code"].dtype == np.uint8
    for name in ("scet_coarse", "scet_fine", "time", "energy_bounds"):
        np.testing.assert_array_equal(raw[name], counts[name])
    scheme = raw["counts_scheme"].to_numpy()
    s, k, m = scheme // 100, scheme // 10 % 10, scheme % 10
    n_bands = raw.sizes["energy"]
    values, _ = decompress(raw["counts_code"].to_numpy().ravel(), *(np.repeat(v, n_bands) for v in (s, k, m)))
    np.testing.assert_array_equal(values.reshape(raw["counts_code"].shape), counts["counts"])
    products = lab.products(type="ql-lightcurve", start=start, end=end)
    assert {*raw.attrs["source_sha256"].split()} == {s for p in products for s in p.sources}


def test_nothing_is_stored(lab, chain):
    before = chain.files(), chain.contents()
    lab.open("ql-lightcurve", "2021-06-05", "2021-06-06", level="L0")
    lab.open("sci-xray-cpd", request_id=REQUEST, level="L0")
    assert (chain.files(), chain.contents()) == before
    assert lab.products(level="L0") == []


@pytest.mark.parametrize(
    "request_id", [REQUEST, 2_505_080_001, "2505080001-50001", f"L1_{REQUEST}", f" {REQUEST} "]
)
def test_a_request_is_what_its_packets_say(lab, request_id):
    raw = lab.open("sci-xray-cpd", request_id=request_id, level="L0")
    assert raw.attrs["level"] == "L0"
    assert raw.attrs["request_id"] == lab.open("sci-xray-cpd", request_id=REQUEST).attrs["request_id"]
    assert raw["counts_code"].dtype == np.uint8
    assert raw.sizes["time"] == 8
    assert raw.attrs["complete"] == 1


def test_a_request_is_found_by_time(lab):
    whole = lab.open("sci-xray-cpd", request_id=REQUEST, level="L0")
    times = whole["time"].to_numpy()
    part = lab.open("sci-xray-cpd", times[2], times[5], level="L0")
    np.testing.assert_array_equal(part["time"], times[2:5])
    with pytest.raises(NotInCatalogError, match="sci-xray-cpd"):
        lab.open("sci-xray-cpd", "2021-01-01", "2021-01-02", level="L0")


def test_the_public_is_refused(lab):
    public = replace(lab, settings=lab.settings.model_copy(update={"access": "public"}))
    assert public.open("ql-lightcurve", "2021-06-05", "2021-06-06").sizes["time"]
    for asked in ({"start": "2021-06-05", "end": "2021-06-06"}, {"request_id": REQUEST}):
        with pytest.raises(AccessError, match="packets are for the team"):
            public.open("ql-lightcurve", level="L0", **asked)


def test_mistakes_are_told(lab):
    with pytest.raises(ParameterError, match="expected one of L0, L1; found 'L2'"):
        lab.open("ql-lightcurve", "2021-06-05", "2021-06-06", level="L2")
    with pytest.raises(ParameterError, match="at most 31 days"):
        lab.open("ql-lightcurve", "2021-06-05", "2021-09-06", level="L0")
    with pytest.raises(
        NotInCatalogError, match=r"level 0 of ql-lightcurve.*the nearest is .*2021-06-06.*from packets"
    ):
        lab.open("ql-lightcurve", "2021-06-07", "2021-06-08", level="L0")
    with pytest.raises(SchemaError, match=r"2021-06-05T23:50.* open these apart"):
        lab.open("ql-lightcurve", "2021-06-05", "2021-06-10", level="L0")
    with pytest.raises(NotInCatalogError, match="expected a data request of 77"):
        lab.open("sci-xray-cpd", request_id=77, level="L0")
    with pytest.raises(SchemaError, match="expected one of"):
        lab.open("aux-ephemeris", "2021-06-05", "2021-06-06", level="L0")


def test_spans_are_listed_and_what_is_joined_warns(lab, tmp_path):
    spans = lab.spans("ql-lightcurve")
    assert [s.n_times for s in spans] == [300, 100]
    with pytest.warns(
        UserWarning, match=r"energy bands change in the range: .*2021-06-05T23:50.*; 2021-06-09T12:00"
    ) as seen:
        ds = lab.open("ql-lightcurve", "2021-01-01", "2030-01-01")
    assert seen[0].filename == __file__
    assert ds.sizes["time"] == 400
    ds.to_netcdf(tmp_path / "joined.nc", engine="h5netcdf")
    assert lab.spans("ql-lightcurve", "2022-01-01") == []
    assert [s.n_times for s in lab.spans("ql-lightcurve", "2021-06-06", origin="flight")] == [150, 100]
    for arguments in (("sci-xray-cpd",), ("aux-ephemeris",), ("ql-lightcurve", "2022-01-02", "2022-01-01")):
        with pytest.raises(ParameterError):
            lab.spans(*arguments)


def test_what_needs_one_table_of_bands_works_or_says_which_ranges_to_take(lab, tmp_path):
    from stixlab.plots.lightcurve import light_curve_figure
    from stixlab.plots.style import band_labels
    from stixlab.products.formats.fits import write_fits
    from tests.support.fits_products import CREATED

    with pytest.warns(UserWarning, match="energy bands change"):
        ds = lab.open("ql-lightcurve", "2021-01-01", "2030-01-01")
    series = ds.stix.to_timeseries("counts")
    changing = [c for c in series.columns if c.startswith("counts_energy")]
    assert changing
    assert all("keV" in c for c in set(series.columns) - set(changing))
    assert "2021-06-09T12:00" in series.meta.metas[0]["energy_spans"]
    assert any(" or " in label for label in band_labels(ds))
    assert light_curve_figure(ds, []) is not None
    options = {"version": 1, "created": CREATED}
    with pytest.raises(SchemaError, match=r"2021-06-09T12:00.*open them apart"):
        write_fits(ds, tmp_path / "joined.fits", **options)
    assert not list(tmp_path.iterdir())
    later = lab.open("ql-lightcurve", "2021-06-09", "2021-06-10")
    one, other = (write_fits(d, tmp_path / "one.fits", **options) for d in (ds.sel(time="2021-06-09"), later))
    assert one == other


@pytest.mark.slow
def test_the_whole_archive_of_real_data_opens_at_once(tmp_path, real_data):
    """Light curves of 2020 reach to 150 keV, those of 2021 to 84 keV."""
    chain = new_chain(tmp_path / "home")
    names = ("solo_L1_stix-ql-lightcurve_20200506_V01", "solo_L1A_stix-ql-lightcurve_20210606_010104_V01")
    files = [real_data / "l1" / "ql" / f"{name}.fits" for name in names]
    assert not chain.ingestor.import_files(files).failed
    with pytest.warns(UserWarning, match=r"2020-05-0.*50-150 keV; 2021-06-0.*50-84 keV"):
        ds = chain.lab.open("ql-lightcurve", "2018-01-01", "2030-01-01", origin="flight")
    spans = chain.lab.spans("ql-lightcurve", origin="flight")
    assert [s.energies[-1] for s in spans] == [(50.0, 150.0), (50.0, 84.0)]
    assert ds.sizes["time"] == sum(s.n_times for s in spans) > 38_000
    for span in spans:
        apart = chain.lab.open("ql-lightcurve", span.start, span.end, origin=span.origin)
        joined = ds.sel(time=slice(apart.time[0].values, apart.time[-1].values))
        np.testing.assert_array_equal(joined["counts"], apart["counts"])
        np.testing.assert_array_equal(joined["energy_bounds"][0], apart["energy_bounds"])
    assert ds.stix.to_timeseries("counts").shape == (ds.sizes["time"], 5)

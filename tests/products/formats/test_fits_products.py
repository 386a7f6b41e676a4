"""Every product type as FITS: what is written comes back, others can read it, damage is found."""

import re
import warnings

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import QTable
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.registry import SPECS
from stixlab.ephemeris import load_ephemerides
from stixlab.errors import FormatError
from stixlab.products.formats.fits import can_write, request_fits_name, write_fits
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.merging import content_sha256
from stixlab.simulation.request_packets import pixel_packets, spectrogram_packets
from stixlab.vocabulary import PRODUCT_TYPES
from tests.support.examples import examples
from tests.support.fits_products import CREATED, PRODUCTS, REQUESTS, there_and_back
from tests.support.requests import CLOCK, OLD, VERSIONS, asked, leaving, level1, pixels, spectrogram

HOUSEKEEPING = {"hk-mini", "hk-maxi"}
LARGE = ("sci-xray-cpd", "sci-xray-spec", "ql-spectra")
"""Products of so many columns that each one left out takes seconds altogether."""
NOT_IN_THE_FILE = {"dialect", "source_files", "source_level"}


def assert_same(back: xr.Dataset, ds: xr.Dataset) -> None:
    xr.testing.assert_equal(back, ds)
    assert content_sha256(back) == content_sha256(ds)
    kept = {k: v for k, v in ds.attrs.items() if k not in NOT_IN_THE_FILE}
    assert {k: back.attrs.get(k) for k in kept} == kept
    for name in ds.variables:
        assert back[name].dtype == ds[name].dtype, name


def test_every_product_type_is_tried():
    assert set(PRODUCTS) | HOUSEKEEPING == set(SPECS) == set(PRODUCT_TYPES)
    assert all(can_write(name) for name in SPECS)
    assert not can_write("asp-ephemeris")


@pytest.mark.parametrize("product", PRODUCTS)
def test_what_is_written_comes_back(product, tmp_path):
    """All variables, types and attributes; no warning while writing or reading."""
    ds = PRODUCTS[product]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = there_and_back(ds, tmp_path / "a.fits")
    assert_same(back, ds)
    assert back.attrs["dialect"] == "stixlab"
    assert_same(there_and_back(back, tmp_path / "b.fits"), ds)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_single_time_comes_back(product, tmp_path):
    """Columns of one number in each row lose a dimension in the file."""
    ds = PRODUCTS[product]().isel(time=slice(0, 1))
    if product != "ql-tmstatusflarelist":
        xr.testing.assert_equal(there_and_back(ds, tmp_path / "a.fits"), ds)


@pytest.mark.parametrize("product", PRODUCTS)
def test_astropy_reads_every_table_without_a_warning(product, tmp_path):
    path = tmp_path / "a.fits"
    start = np.datetime64("2022-03-01T12:00")
    keywords = load_ephemerides().keywords(start, start + np.timedelta64(1, "h"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_fits(PRODUCTS[product](), path, version=1, created=CREATED, keywords=keywords)
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            names = [h.name for h in hdus]
            assert hdus[0].header["EAR_TDEL"] == keywords["EAR_TDEL"][0]
            assert hdus[0].header.comments["CRLN_OBS"] == keywords["CRLN_OBS"][1]
            assert all("CHECKSUM" in h.header and "DATASUM" in h.header for h in hdus)
        for name in names[1:]:
            QTable.read(path, hdu=name)
    assert names[:4] == ["PRIMARY", "CONTROL", "DATA", "IDB_VERSIONS"]
    assert names.index("ENERGIES") == 4 if "ENERGIES" in names else True, "readers count"


@pytest.mark.parametrize("product", REQUESTS)
def test_a_request_has_one_row_of_settings_and_says_which_it_is(product, tmp_path):
    ds = REQUESTS[product]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        control, data, header = hdus["CONTROL"].data, hdus["DATA"].data, hdus[0].header
        assert len(control) == 1
        assert not data["control_index"].any()
        assert control["request_id"][0] == ds.attrs["request_id"] == header["REQUEST"]
        assert control["tc_packet_seq_control"][0] == ds.attrs["tc_sequence"]
        assert header["COMPLETE"] is True
        assert data["time"].dtype.kind == data["timedel"].dtype.kind == "f"
        if "energy" in ds.dims:
            edges = control["energy_bin_edge_mask"][0]
            assert edges.shape == (33,)
            assert np.flatnonzero(edges)[0] == int(ds.channel_low[0])
            assert np.flatnonzero(edges)[-1] == int(ds.channel_high[-1]) + 1


def test_masks_are_rows_of_numbers_as_the_official_files_have_them(tmp_path):
    ds = REQUESTS["sci-xray-cpd"]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        data = hdus["DATA"].data
        assert data["detector_masks"][0].tolist() == [1] * 8 + [0] * 2 + [1] * 22
        assert data["pixel_masks"][0].tolist() == [1] * 8 + [0] * 4
        assert set(data["num_pixel_sets"].tolist()) == {8}
        assert data["counts"].shape == (4, 32, 8, 6)
        assert data["triggers"].shape == (4, 16)
    write_fits(REQUESTS["sci-xray-scpd"](), tmp_path / "b.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "b.fits") as hdus:
        masks = hdus["DATA"].data["pixel_masks"]
        assert masks.shape == (4, 4, 12)
        assert np.flatnonzero(masks[0, 0]).tolist() == [3, 7, 11]


def test_names_of_requests_are_those_of_the_archive():
    start, end = np.datetime64("2022-11-09T00:44:55.112"), np.datetime64("2022-11-09T00:53:11.712")
    which = {"request_id": 2211090305, "tc_sequence": 54678}
    name = request_fits_name("sci-xray-cpd", start, end, 1, **which)
    assert name == "solo_L1_stix-sci-xray-cpd_20221109T004455-20221109T005311_V01_2211090305-54678.fits"
    name = request_fits_name(
        "sci-xray-spec", start, end, 2, request_id=87031812, tc_sequence=7, complete=False
    )
    assert name == "solo_L1_stix-sci-xray-spec_20221109T004455-20221109T005311_V02U_0087031812-00007.fits"
    name = request_fits_name("sci-xray-spec", start, end, 1, **which, origin="simulated", part=1)
    assert name.startswith("solo_L1_stix-sci-xray-spec-simulated-sup1_2022")


def test_names_are_those_of_the_real_files(real_data):
    """Made from what the files say of themselves."""
    paths = sorted((real_data / "l1" / "sci" / "nov2022").glob("*.fits"))
    assert paths
    for path in paths:
        ds = read_fits(path, CLOCK)
        bounds = ds.time_bounds.to_numpy()
        which = {n: ds.attrs[n] for n in ("request_id", "tc_sequence")}
        made = request_fits_name("sci-xray-cpd", bounds.min(), bounds.max(), 1, **which)
        assert made[:34] == path.name[:34]
        assert made[-21:] == path.name[-21:]


def test_the_on_board_end_is_that_of_the_last_bin(tmp_path, real_data):
    """As the official files have it, whose bins are of unequal length."""
    ends = {"2211118567-54712": 721473568.8, "2211120140-54750": 721602554.7, "2211105395-54651": 721365759.8}
    for which, end in ends.items():
        (path,) = (real_data / "l1" / "sci" / "nov2022").glob(f"*_{which}.fits")
        ds = read_fits(path, CLOCK)
        assert len(np.unique(ds.integration_time)) > 1
        write_fits(ds, tmp_path / path.name, version=1, created=CREATED)
        official, ours = fits.getheader(path), fits.getheader(tmp_path / path.name)
        assert ours["OBT_END"] == pytest.approx(end, abs=1e-3)
        assert ours["OBT_END"] == pytest.approx(official["OBT_END"], abs=1e-3)


def test_an_incomplete_request_says_why_and_keeps_its_holes(tmp_path):
    block = pixel_packets(asked(), pixels(12, 20), leaving(), VERSIONS)
    ds = level1(block.select(np.arange(len(block)) != 1))
    back = there_and_back(ds, tmp_path / "a.fits")
    assert_same(back, ds)
    assert back.attrs["complete"] == 0
    assert "between sequence counts 0 and 2" in back.attrs["incomplete_because"]
    assert not back.counts_valid.to_numpy().all()
    with fits.open(tmp_path / "a.fits") as hdus:
        assert hdus[0].header["COMPLETE"] is False


def test_spectrograms_of_old_software_keep_their_fault(tmp_path):
    ds = level1(spectrogram_packets(asked(OLD), spectrogram(), leaving(OLD), VERSIONS))
    back = there_and_back(ds, tmp_path / "a.fits")
    assert_same(back, ds)
    assert back.attrs["time_bin_shift"] == 1
    assert float(back.exposure_time[0]) == 0


@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_any_pixel_data_comes_back(data, tmp_path_factory):
    """Masks, pixel sets, bands of several channels, time stamps that are no whole seconds."""
    n_times, n_bands = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    edges = sorted(
        data.draw(st.lists(st.integers(0, 32), min_size=n_bands + 1, max_size=n_bands + 1, unique=True))
    )
    sets = data.draw(st.lists(st.integers(1, 4095), min_size=1, max_size=12, unique=True))
    mask = data.draw(st.integers(1, 2**32 - 1))
    given_pixels = pixels(
        n_times, n_bands, sets=tuple(sets), mask=mask, seed=n_times,
        energy_low=tuple(edges[:-1]), energy_high=tuple(e - 1 for e in edges[1:]),
    )  # fmt: skip
    ds = level1(pixel_packets(asked(), given_pixels, leaving(), VERSIONS, ssid=22))
    assert_same(there_and_back(ds, tmp_path_factory.mktemp("fits") / "a.fits"), ds)


def test_same_input_gives_the_same_bytes(tmp_path):
    ds = REQUESTS["sci-xray-cpd"]()
    (tmp_path / "other").mkdir()
    results = [
        write_fits(ds, folder / "a.fits", version=1, created=CREATED)
        for folder in (tmp_path, tmp_path / "other")
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("product", ["sci-xray-cpd", "ql-spectra", "ql-tmstatusflarelist", "cal-spectra"])
@pytest.mark.parametrize("table", ["CONTROL", "DATA", "AXES", "SUPPLEMENT", "ENERGIES"])
def test_a_missing_table_is_named(product, table, tmp_path):
    write_fits(PRODUCTS[product](), tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        if table not in hdus:
            return
        hdus.pop(table)
        hdus.writeto(tmp_path / "b.fits")
    with pytest.raises(FormatError, match=rf"b\.fits: expected a table {table}; found"):
        read_fits(tmp_path / "b.fits", CLOCK)


@pytest.mark.parametrize(
    "product", ["ql-flareflag", *(pytest.param(p, marks=pytest.mark.slow) for p in LARGE)]
)
def test_a_missing_column_is_named(product, tmp_path):
    """Whichever it is of those that are read."""
    ds = PRODUCTS[product]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        columns = [(h.name, c) for h in hdus[1:] if h.name != "IDB_VERSIONS" for c in h.columns.names]
    for number, (table, column) in enumerate(columns):
        target = tmp_path / f"{number}.fits"
        with fits.open(tmp_path / "a.fits") as hdus:
            place = hdus.index_of(table)
            kept = [c for c in hdus[place].columns if c.name != column]
            hdus[place] = fits.BinTableHDU.from_columns(kept, name=table)
            hdus.writeto(target)
        try:
            back = read_fits(target, CLOCK)
        except FormatError as error:
            assert re.search(rf"{number}\.fits: expected .*{re.escape(column)}", str(error)), str(error)  # noqa: PT017
        else:
            xr.testing.assert_equal(back, ds)


def test_a_supplement_of_other_rows_is_told(tmp_path):
    write_fits(REQUESTS["sci-xray-spec"](), tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        place = hdus.index_of("SUPPLEMENT")
        hdus[place] = fits.BinTableHDU(hdus[place].data[:-1], name="SUPPLEMENT")
        hdus.writeto(tmp_path / "b.fits")
    with pytest.raises(FormatError, match="as many rows in SUPPLEMENT as in DATA, 50; found 49"):
        read_fits(tmp_path / "b.fits", CLOCK)


_WHOLE: dict[str, tuple[bytes, str]] = {}


@settings(max_examples=examples(60), deadline=None)
@given(product=st.sampled_from(sorted(PRODUCTS)), place=st.floats(0, 0.99999), bit=st.integers(0, 7))
def test_a_flipped_bit_never_passes_and_never_breaks(product, place, bit, tmp_path_factory):
    if product not in _WHOLE:
        path = tmp_path_factory.mktemp("whole") / "a.fits"
        back = there_and_back(PRODUCTS[product](), path)
        _WHOLE[product] = path.read_bytes(), content_sha256(back)
    content, expected = _WHOLE[product]
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / "a.fits"
    try:
        ds = read_fits(path, CLOCK, content=bytes(damaged))
    except FormatError as error:
        assert "a.fits" in str(error)  # noqa: PT017
    else:
        assert content_sha256(ds) == expected


@pytest.mark.parametrize("product", ["sci-xray-cpd", "ql-spectra", "cal-spectra"])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_told(product, part, tmp_path):
    write_fits(PRODUCTS[product](), tmp_path / "a.fits", version=1, created=CREATED)
    content = (tmp_path / "a.fits").read_bytes()
    with pytest.raises(FormatError, match=r"a\.fits"):
        read_fits(tmp_path / "a.fits", CLOCK, content=content[: int(len(content) * part)])


def test_raw_counts_have_a_compression_error_of_nothing(tmp_path):
    """Clients ask for the columns as of all pixel data; the official files of raw counts have none."""
    ds = REQUESTS["sci-xray-rpd"]()
    write_fits(ds, tmp_path / "a.fits", version=1, created=CREATED)
    with fits.open(tmp_path / "a.fits") as hdus:
        data = hdus["DATA"].data
        for name in ("counts", "triggers"):
            assert data[f"{name}_comp_err"].shape == data[name].shape
            assert not data[f"{name}_comp_err"].any()
    assert_same(read_fits(tmp_path / "a.fits", CLOCK), ds)

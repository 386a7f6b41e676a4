"""Tables and headers written as bytes: astropy reads what was meant, and finds the checksums right."""

import io
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.products.formats.fits_cards import name_list
from stixlab.products.formats.fits_columns import column, primary, table
from tests.support.examples import examples

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DTYPES = ["bool", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def read(*hdus):
    content = b"".join(hdu.encode(CREATED) for hdu in (primary(), *hdus))
    assert len(content) % 2880 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fits.open(io.BytesIO(content), checksum=True, uint=True)


def limits(dtype, shape):
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.resize([True, False, False], shape)
    if kind.kind == "f":
        return np.resize(np.array([0, -1.5, np.nan, np.inf, 3e30], dtype), shape)
    info = np.iinfo(kind)
    return np.resize(np.array([info.min, info.max, 0, 1, info.max // 2 + 1], dtype), shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (4, 2, 3), (3, 2, 3, 4)])
def test_every_type_comes_back_to_its_limits(dtype, shape):
    values = limits(dtype, shape)
    (_, found) = read(table("DATA", [column("first", values, "s"), column("second", values[::-1].copy())]))
    expected = values[:, 0] if shape == (5, 1) else values
    np.testing.assert_array_equal(found.data["first"], expected)
    np.testing.assert_array_equal(found.data["second"], expected[::-1])
    assert found.columns["first"].unit == "s"
    assert found.columns["second"].unit is None


def test_texts_and_times():
    times = np.array(["2021-01-01T00:00:00.000000001"], dtype="M8[ns]")
    (_, found) = read(table("T", [column("text", np.array(["2.26.35"])), column("time", times)]))
    assert found.data["text"].tolist() == ["2.26.35"]
    assert found.data["time"].tolist() == [times.astype(int)[0]]
    assert found.columns["time"].unit == "ns"


@settings(max_examples=examples(60), deadline=None)
@given(
    value=st.one_of(
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400),
    ),
    comment=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_a_card_is_the_one_that_astropy_writes(value, comment):
    hdu = primary()
    hdu.cards.set("KEYWORD", value, comment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a comment that does not fit
        expected = str(fits.Card("KEYWORD", value, comment))
    text = hdu.encode(CREATED).decode("ascii")
    assert text[4 * 80 : 4 * 80 + len(expected)] == expected


@settings(max_examples=examples(60), deadline=None)
@given(
    words=st.lists(st.integers(1, 150), min_size=1, max_size=20),
    letters=st.sampled_from(["a", "a;", "b&", "4 "]),
)
def test_a_long_text_goes_on_as_astropy_has_it(words, letters):
    """Broken between words, within those that are longer than a card."""
    value = " ".join((letters * n)[:n] for n in words).rstrip()
    hdu = primary()
    hdu.cards.set("KEYWORD", value)
    text = hdu.encode(CREATED).decode("ascii")
    expected = str(fits.Card("KEYWORD", value))
    assert text[4 * 80 : 4 * 80 + len(expected)] == expected
    if not value.endswith("&"):
        assert fits.Header.fromstring(text)["KEYWORD"] == value


def test_names_of_files_make_one_value():
    assert name_list([]) == name_list([""]) == ""
    assert name_list(["b.xml", "a.xml", "b.xml"]) == "a.xml;b.xml"
    assert name_list(["März;1\n.xml"]) == "M?rz?1?.xml"
    many = name_list(f"{n:03}.xml" for n in range(120)).split(";")
    assert len(many) == 51
    assert (many[0], many[49], many[50]) == ("000.xml", "049.xml", "and 70 more")


def test_a_keyword_that_is_set_again_stays_where_it_was_and_notes_come_last():
    hdu = primary()
    hdu.cards.note("COMMENT", "x" * 100)
    hdu.cards.set("FIRST", 1)
    hdu.cards.set("SECOND", "a")
    hdu.cards.set("FIRST", 2)
    found = fits.Header.fromstring(hdu.encode(CREATED).decode("ascii"))
    assert [k for k in found if k in {"FIRST", "SECOND", "COMMENT"}] == [
        "FIRST",
        "SECOND",
        "COMMENT",
        "COMMENT",
    ]
    assert found["FIRST"] == 2
    assert "".join(found["COMMENT"]) == "x" * 100


def test_a_flipped_bit_is_seen_by_its_checksum():
    hdu = table("DATA", [column("a", np.arange(10))])
    content = bytearray(primary().encode(CREATED) + hdu.encode(CREATED))
    content[-2000] ^= 1
    with (
        pytest.warns(UserWarning, match="(?i)checksum|datasum"),
        fits.open(io.BytesIO(content), checksum=True) as found,
    ):
        assert found[1].data is not None

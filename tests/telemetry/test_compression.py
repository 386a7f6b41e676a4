"""Compression: values, variances and errors of all schemes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import CompressionError
from stixlab.telemetry.compression import compress, decompress, largest_value

SCHEMES = [(s, k, m) for s, k, m in itertools.product((0, 1), range(8), range(8)) if s + k + m <= 8]


@pytest.mark.parametrize(
    ("code", "value", "variance"),
    [(0, 0, 0), (15, 15, 0), (16, 16, 0.5), (48, 271, 85.5), (50, 335, 85.5), (80, 4351, 21845.5)],
)
def test_known_codes_of_the_quicklook_scheme(code: int, value: int, variance: float) -> None:
    """(0, 5, 3): values of the golden tree of (21,6,30), and the first inexact code."""
    assert [x[0] for x in decompress(np.array([code], dtype=np.uint8), 0, 5, 3)] == [value, variance]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_compression_errs_within_its_bounds(scheme: tuple[int, int, int]) -> None:
    """For every scheme: codes map to themselves through their value, and the error is at most half a step."""
    s, k, m = scheme
    largest = min(largest_value(*scheme), 2**60)
    random = np.random.default_rng(k * 8 + m)
    small = np.arange(min(largest + 1, 5000))
    powers = 2.0 ** random.uniform(0, np.log2(max(largest, 2)), 2000)
    values = np.unique(np.concatenate([small, powers.astype(np.int64), [largest]]))
    values = values[values <= largest]
    values = np.concatenate([-values[values > 0], values]) if s else values
    codes = compress(values, *scheme)
    assert codes.max(initial=0) < 1 << (s + k + m) if not s else True
    back, variance = decompress(codes, *scheme)
    step = np.sqrt(np.maximum(12 * variance - 2, 0))
    assert (np.abs(back - values) <= step / 2 + 1e-9 * np.abs(values)).all()
    assert np.array_equal(compress(np.clip(back, -largest, largest), *scheme), codes)
    assert (
        back[np.abs(values) < 2 ** (m if k == 0 else m + 1)]
        == values[np.abs(values) < 2 ** (m if k == 0 else m + 1)]
    ).all()


@pytest.mark.parametrize("scheme", [(0, 5, 3), (0, 4, 4), (0, 3, 5), (1, 4, 3)])
def test_the_variance_is_that_of_uniform_inputs(scheme: tuple[int, int, int]) -> None:
    """Mean square error over every integer that has the code, computed directly."""
    values = np.arange(1 << 12)
    codes = compress(values, *scheme)
    value, variance = decompress(codes, *scheme)
    for code in np.unique(codes)[:-1]:
        members = codes == code
        assert np.isclose(np.mean((values[members] - value[members]) ** 2.0), variance[members][0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_value_that_does_not_fit_is_refused(scheme: tuple[int, int, int]) -> None:
    """The largest fits, one more does not; a negative one needs the sign bit."""
    largest = largest_value(*scheme)
    if largest < 2**62:
        compress(np.array([largest]), *scheme)
        with pytest.raises(CompressionError, match="expected"):
            compress(np.array([0, largest + 1]), *scheme)
    if scheme[0] == 0:
        with pytest.raises(CompressionError, match="or a sign"):
            compress(np.array([-1]), *scheme)


@pytest.mark.parametrize("scheme", [(2, 0, 0), (0, 8, 0), (0, 0, 8), (1, 4, 4), (0, -1, 3), (0, 7, 7)])
def test_impossible_schemes_are_refused(scheme: tuple[int, int, int]) -> None:
    """More than eight bits, or a negative number of them."""
    with pytest.raises(CompressionError, match="scheme"):
        decompress(np.zeros(3, dtype=np.uint8), *scheme)
    with pytest.raises(CompressionError, match="scheme"):
        compress([1], *scheme)


def test_packets_may_have_different_schemes() -> None:
    """Each packet by its own, as if decompressed alone."""
    codes = np.arange(256, dtype=np.uint8)
    s, k, m = np.array([0, 1, 0]), np.array([5, 4, 3]), np.array([3, 3, 5])
    value, variance = decompress(np.tile(codes, 3), s, k, m, splits=np.array([0, 256, 512, 768]))
    for i in range(3):
        alone = decompress(codes, s[i], k[i], m[i])
        assert np.array_equal(value[i * 256 : (i + 1) * 256], alone[0])
        assert np.array_equal(variance[i * 256 : (i + 1) * 256], alone[1])


def test_smaller_dtypes_give_the_same_or_an_error() -> None:
    """(0, 5, 3) reaches 2**34: the codes that do not fit 32 bits are named."""
    value, variance = decompress(
        np.arange(200, dtype=np.uint8), 0, 5, 3, value_dtype=np.uint32, variance_dtype=np.float32
    )
    assert (value.dtype, variance.dtype) == (np.uint32, np.float32)
    assert np.array_equal(value, decompress(np.arange(200, dtype=np.uint8), 0, 5, 3)[0])
    with pytest.raises(CompressionError, match="fit uint32; found code 24"):
        decompress(np.arange(256, dtype=np.uint8), 0, 5, 3, value_dtype=np.uint32)
    with pytest.raises(CompressionError, match="fit int64"):
        decompress(np.array([255], dtype=np.uint8), 0, 7, 1)


def test_floats_are_not_compressed() -> None:
    """Rounding is for whoever knows how."""
    with pytest.raises(CompressionError, match="integers"):
        compress([1.5], 0, 5, 3)


@given(st.lists(st.integers(0, 2**34 - 1), max_size=50))
def test_quicklook_counts_keep_three_bits(values: list[int]) -> None:
    """The relative error of (0, 5, 3) is at most 1/16."""
    back, _ = decompress(compress(np.array(values, dtype=np.int64), 0, 5, 3), 0, 5, 3)
    assert (np.abs(back - values) <= np.array(values) / 16).all()

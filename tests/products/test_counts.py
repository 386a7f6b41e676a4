import numpy as np
import pytest

from stixlab.errors import CompressionError
from stixlab.products.counts import to_counts, to_triggers, total_error

QUICKLOOK = 53


def scheme(n, value=QUICKLOOK):
    return np.full(n, value, dtype=np.uint8)


def test_code_of_the_real_day_gives_the_published_count_and_error():
    """Code 48 with (0, 5, 3) is 271, compression error 9.246621: the L1 file of 2020-05-06 has both."""
    found = to_counts(np.array([[48]], dtype=np.uint8), scheme(1))
    assert found.values.item() == 271
    assert found.compression_error.item() == np.float32(9.246621)
    assert found.error.item() == pytest.approx(np.sqrt((32**2 + 2) / 12 + 271), rel=1e-6)


def test_small_codes_are_exact_and_have_poisson_noise_only():
    found = to_counts(np.arange(16, dtype=np.uint8), scheme(16))
    assert (found.values == np.arange(16)).all()
    assert not found.compression_error.any()
    assert np.allclose(found.error**2, np.arange(16))


def test_each_row_is_decompressed_by_its_own_scheme():
    codes = np.full((3, 2), 48, dtype=np.uint8)
    found = to_counts(codes, np.array([53, 44, 53], dtype=np.uint8))
    assert found.values[[0, 2]].tolist() == [[271, 271]] * 2
    alone = to_counts(codes[1:2], np.array([44], dtype=np.uint8))
    assert (found.values[1] == alone.values[0]).all()
    assert (found.error[1] == alone.error[0]).all()


@pytest.mark.parametrize("value", [53, 62, 70, 26])
def test_codes_beyond_32_bits_stay_the_largest_there_is(value):
    """Wide exponents have codes that no accumulator of 32 bits can have made; they do not wrap around."""
    found = to_counts(np.arange(256, dtype=np.uint8), scheme(256, value))
    assert (np.diff(found.values.astype(np.int64)) >= 0).all()
    assert np.isfinite(found.error).all()


def test_impossible_scheme_is_refused():
    with pytest.raises(CompressionError):
        to_counts(np.zeros(3, dtype=np.uint8), scheme(3, 77))


def test_no_rows_give_no_counts():
    assert to_counts(np.zeros((0, 5), dtype=np.uint8), scheme(0)).values.shape == (0, 5)


def test_scaled_triggers_follow_the_rule():
    """(0, 0, 7): T = (code + 0.5) * 30 * n_int * n_groups, error half a step."""
    values, error = to_triggers(
        np.array([10, 10], dtype=np.uint8),
        np.array([7, 53], dtype=np.uint8),
        integration_time=np.array([4.0, 4.0], dtype=np.float32),
        detector_mask=np.array([0b11, 0b11], dtype=np.uint32),
    )
    assert values.tolist() == [int(10.5 * 30 * 40), 10]
    assert error.tolist() == [0.5 * 30 * 40, 0]


def test_total_error_of_stored_values_is_that_of_the_table():
    """FITS holds the compression error only: what is read back is what was written."""
    codes = np.arange(256, dtype=np.uint8)
    found = to_counts(codes, scheme(256))
    assert (total_error(found.values, found.compression_error) == found.error).all()

"""Which of several rows at one on-board time stays: a choice by their values alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.products.merging import unique_order
from tests.support.examples import examples

VALUES = {
    "flag": np.array([False, True]),
    "signed": np.array([-(2**31), -1, 0, 5, 2**31 - 1], dtype=np.int32),
    "unsigned": np.array([0, 1, 2**64 - 1], dtype=np.uint64),
    "real": np.array([-np.inf, -1.5, 0.25, 2.0, np.inf, np.nan], dtype=np.float32),
    "moment": np.array(["1969-12-31T23:59:59", "2021-01-01"], dtype="M8[s]"),
}


def in_lexical_order(arrays, row):
    """Values of a row as Python compares them; NaN above all numbers."""
    found = []
    for name in sorted(arrays):
        for value in arrays[name][row].reshape(-1):
            if value.dtype.kind == "f":
                found.append((bool(np.isnan(value)), 0.0 if np.isnan(value) else float(value)))
            else:
                found.append(
                    int(value.astype("datetime64[ns]").astype(np.int64))
                    if value.dtype.kind == "M"
                    else int(value)
                )
    return found


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 20))
def test_of_rows_at_one_time_the_first_in_lexical_order_stays(seed, n):
    rng = np.random.default_rng(seed)
    arrays = {
        "scet_coarse": rng.integers(0, 4, n).astype(np.uint32),
        "scet_fine": np.zeros(n, dtype=np.uint16),
        **{k: rng.choice(v, (n, 2) if k == "real" else n) for k, v in VALUES.items()},
    }
    arrays["time"] = arrays["scet_coarse"].astype("M8[s]")
    order = unique_order(arrays)
    kept = np.arange(n) if order is None else order
    assert arrays["scet_coarse"][kept].tolist() == sorted({*arrays["scet_coarse"].tolist()})
    for row in kept:
        same = np.flatnonzero(arrays["scet_coarse"] == arrays["scet_coarse"][row])
        assert in_lexical_order(arrays, row) == min(in_lexical_order(arrays, r) for r in same)

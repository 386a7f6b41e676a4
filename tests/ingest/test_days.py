"""Which days a product asks its pipelines to look at."""

from datetime import timedelta

import pytest

from stixlab.ingest.days import days_of_product
from tests.support.records import T0, product

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (0, 24, ["06"]),
        (0, 24.1, ["06", "07"]),
        (23, 25, ["06", "07"]),
        (5, 5, ["06"]),
        (-1, 49, ["05", "06", "07", "08"]),
    ],
)
def test_a_product_is_about_each_day_it_touches(start, end, days):
    found = days_of_product(product(start=T0 + start * HOUR, end=T0 + end * HOUR))
    assert found == [("ql-lightcurve", "flight", f"2021-06-{day}") for day in days]

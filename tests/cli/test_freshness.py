"""How new everything is, as `stixlab status` tells it."""

from stixlab.cli.platform import freshness
from tests.support.runs import make_lab, make_product, make_run


def test_every_product_and_result_is_told_of_each_origin(tmp_path):
    lab = make_lab(tmp_path)
    lab.catalog.products.save(make_product())
    lab.catalog.products.save(make_product(hours=90, origin="flight", product_id="measured"))
    lab.catalog.products.save(make_product("asp-ephemeris", level="ANC", origin="flight"))
    found = {"flare-list": {"kind": "flares", "origin": "flight", "records": 0}}
    lab.catalog.runs.save(make_run(pipeline="flare_list", outputs=found))
    assert [(r["product"], r["origin"], r["version"]) for r in freshness(lab)] == [
        ("ql-lightcurve", "flight", 1),
        ("ql-lightcurve", "simulated", 1),
        ("asp-ephemeris", "flight", 1),
        ("flare-list", "flight", None),
    ]

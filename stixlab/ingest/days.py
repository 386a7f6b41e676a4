"""Which UTC days a product is about."""

from __future__ import annotations

from datetime import UTC, timedelta

from stixlab.ingest.receive import DayKey
from stixlab.model import Product

__all__ = ["days_of_product"]


def days_of_product(product: Product) -> list[DayKey]:
    """Type, origin and each UTC day that a product touches; its end is not included."""
    moment = product.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days: list[DayKey] = []
    while not days or moment < product.end:
        days.append((product.type, product.origin, f"{moment:%Y-%m-%d}"))
        moment += timedelta(days=1)
    return days

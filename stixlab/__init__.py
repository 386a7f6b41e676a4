"""STIX data: telemetry, products, pipelines and apps."""

__version__ = "0.1.0"

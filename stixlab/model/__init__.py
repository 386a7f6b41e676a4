"""Records: small frozen dataclasses about files, products, flares and runs. No I/O."""

from stixlab.model.flare import Flare
from stixlab.model.product import Product
from stixlab.model.raw_file import RawFile
from stixlab.model.run import Run, RunStatus

__all__ = ["Flare", "Product", "RawFile", "Run", "RunStatus"]

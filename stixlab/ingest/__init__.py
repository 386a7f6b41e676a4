"""The verbs that tie everything together: receive files, make products, queue pipelines."""

from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.report import FileResult, IngestReport

__all__ = ["FileResult", "IngestReport", "Ingestor"]

"""Figures of datasets and records: no reading, no state."""

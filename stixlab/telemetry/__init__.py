"""Telemetry: bytes to packets, packets to columns of integers, and back. No physical units here."""

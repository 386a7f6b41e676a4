"""`stixlab ...`: parse, build, call; nothing else."""

from stixlab.cli.main import main

__all__ = ["main"]

"""`python -m stixlab.cli ...`, the same as `stixlab ...`."""

from stixlab.cli.main import main

main()

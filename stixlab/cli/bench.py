"""The command bench."""

from __future__ import annotations

from dataclasses import asdict

import click

from stixlab.cli.output import json_option, print_json, say

__all__ = ["bench_command"]


@click.command("bench")
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Exit status 1 if a goal is missed.")
@json_option
def bench_command(name: str | None, *, check: bool, as_json: bool) -> None:
    """Measure benchmark NAME, or all of them."""
    from stixlab.bench import BENCHMARKS, run_benchmark

    if name is not None and name not in BENCHMARKS:
        raise click.UsageError(f"bench: expected one of {', '.join(BENCHMARKS)}; found {name!r}")
    missed = []
    for each in [name] if name else [n for n, b in BENCHMARKS.items() if not b.only_by_name]:
        say(f"bench {each}: {BENCHMARKS[each].summary}")
        for found in run_benchmark(each):
            if not found.met:
                missed.append(found)
            if as_json:
                print_json({**asdict(found), "met": found.met})
                continue
            sign = "<=" if found.smaller_is_better else ">="
            goal = (
                f"  goal {sign} {found.goal:,g}  {'met' if found.met else 'MISSED'}"
                if found.goal is not None
                else ""
            )
            click.echo(f"{found.benchmark:<10} {found.name:<58} {found.value:>12,.4g} {found.unit:<12}{goal}")
    if check and missed:
        say(f"bench: {len(missed)} goal(s) missed: " + "; ".join(m.name for m in missed))
        click.get_current_context().exit(1)

"""Commands of the platform: up, down, status, doctor, config, accounts, and the two that the hub starts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from stixlab.cli.arrivals import arrivals_summary, print_arrivals
from stixlab.cli.output import json_option, print_json, print_rows, progress_bar, say
from stixlab.settings import Settings, project_folder, read_settings

__all__ = [
    "accounts_command",
    "api_command",
    "config_command",
    "demonstrate_command",
    "doctor_command",
    "down_command",
    "status_command",
    "up_command",
]


@click.command("up")
@click.option(
    "--no-demo",
    is_flag=True,
    help="Leave an empty archive empty; otherwise it gets a simulated day and some real data.",
)
def up_command(*, no_demo: bool) -> None:
    """Start everything and watch it until Ctrl-C: database, hub, public apps, HTTP service, worker."""
    from stixlab import platform

    settings = read_settings()
    platform.check_before(settings)
    if not no_demo:
        platform.make_demonstration(say)
    password = platform.ensure_operator(settings)

    def told(event: Any) -> None:
        say(f"stixlab: {event}")

    def ready() -> None:
        click.echo("\n".join(platform.welcome(settings, password)))

    platform.follow_services(settings.home, say)
    platform.make_supervisor(settings, told).run(ready)
    say("stixlab: everything is stopped")


@click.command("demonstrate")
def demonstrate_command() -> None:
    """Give an empty archive a simulated day, and the real data that come with the installation; `up` calls it."""
    from stixlab import platform

    if not platform.demonstrate(read_settings(), say):
        click.get_current_context().exit(1)


@click.command("down")
def down_command() -> None:
    """Stop what `up` started, and wait until all of it is gone."""
    from stixlab.services import stop

    settings = read_settings()
    if stop(settings.home):
        click.echo("stopped")
    else:
        click.echo(f"nothing runs for {settings.home}")


@click.command("config")
@json_option
def config_command(*, as_json: bool) -> None:
    """Show every setting, its value and where it came from; secrets are masked."""
    rows = settings_table(read_settings())
    if as_json:
        print_rows(rows, (), as_json=True)
        return
    print_rows(rows, ("name", "value", "from"))


def settings_table(settings: Settings) -> list[dict[str, Any]]:
    """Rows of name, value, origin and meaning."""
    import os

    from stixlab.catalog.connect import mask_uri

    rows = []
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            value = mask_uri(value.get_secret_value())
        if name == "base_url":
            value = settings.public_url
        if name == "watch":
            value = os.pathsep.join(map(str, settings.watched_folders)) or "none"
        variable = f"STIXLAB_{name.upper()}"
        rows.append(
            {
                "name": variable,
                "value": "" if value is None else str(value),
                "from": "environment" if os.environ.get(variable) else "default",
                "meaning": info.description,
            }
        )
    return rows


@click.command("status")
@json_option
def status_command(*, as_json: bool) -> None:
    """Freshness of the data, and what runs with how much memory."""
    from stixlab import factory
    from stixlab.services import read_health

    settings = read_settings()
    health = read_health(settings.home)
    with factory.open_lab(settings) as lab:
        data = freshness(lab)
        runs = {s: len(lab.catalog.runs.find(status=s)) for s in ("queued", "running", "failed")}
        arrivals = arrivals_summary(lab.catalog, settings)
    if as_json:
        print_json({**health.as_document(), "data": data, "runs": runs, "arrivals": arrivals})
        return
    click.echo(f"home {settings.home}, {health.disk_free_bytes / 1e9:.1f} GB free")
    click.echo(
        f"up at {health.url} since {health.started}" if health.running else "not up (`stixlab up` starts it)"
    )
    rows = (
        [{**asdict(p), "memory_MB": round(p.rss_bytes / 1e6)} for p in health.parts] if health.running else []
    )
    if rows:
        print_rows(rows, ("name", "state", "since", "restarts", "n_processes", "memory_MB", "last_exit"))
        click.echo(f"memory of all parts: {health.rss_bytes / 1e6:.0f} MB")
    print_rows(data, ("product", "origin", "latest", "age", "version"))
    click.echo("runs: " + ", ".join(f"{n} {s}" for s, n in runs.items()))
    print_arrivals(arrivals)


def freshness(lab: Any) -> list[dict[str, Any]]:
    """The newest data of each product type and result, of each origin."""
    from stixlab.client.overview import newest_data
    from stixlab.pipeline.discovery import find_pipelines

    now = datetime.now(UTC)
    rows = []
    for each in newest_data(lab.catalog, find_pipelines(project_folder("pipelines")).good):
        age = max(timedelta(), now - each.latest)
        rows.append(
            {
                "product": each.type,
                "origin": each.origin,
                "latest": each.latest,
                "age_s": round(age.total_seconds()),
                "age": f"{age.days} d {age.seconds // 3600} h",
                "version": each.version,
            }
        )
    return rows


@click.command("doctor")
@click.option("--archive", is_flag=True, help="Verify every checksum of the archive instead.")
@click.option(
    "--repair", is_flag=True, help="With --archive: make tables of contents and reduced levels again."
)
@json_option
def doctor_command(*, archive: bool, repair: bool, as_json: bool) -> None:
    """Check the installation: settings, folders, programs, database, clock; exit status 1 if something is wrong."""
    from stixlab import doctor

    if repair and not archive:
        raise click.UsageError("doctor --repair: goes with --archive")
    if archive:
        _verify_archive(repair=repair, as_json=as_json)
        return
    found = doctor.examine(read_settings())
    rows = [asdict(f) for f in found]
    if as_json:
        print_rows(rows, (), as_json=True)
    else:
        for each in found:
            click.echo(f"{'ok  ' if each.ok else 'FAIL'}  {each.what:<12} {each.found}")
            if not each.ok and each.cure:
                click.echo(f"      {'':<12} {each.cure}")
    if not all(f.ok for f in found):
        click.get_current_context().exit(1)


def _verify_archive(*, repair: bool, as_json: bool) -> None:
    from stixlab import doctor

    with progress_bar() as show:
        found = doctor.examine_archive(read_settings(), repair=repair, progress=show)
    if as_json:
        for damage in found.damages:
            print_json({"type": "damage", **asdict(damage)})
        summary = {"looked_at": dict(found.looked_at), "n_bytes": found.n_bytes, "spare": found.spare}
        print_json({"type": "archive", "ok": found.ok, "n_damages": len(found.damages), **summary})
    else:
        for damage in found.damages:
            click.echo(f"FAIL  {damage.kind:<9} {damage.key}\n      {damage.found}\n      {damage.cure}")
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(found.looked_at.items()))
        click.echo(
            f"looked at {counts}; {found.n_bytes / 1e6:.1f} MB; {len(found.damages)} missing or damaged"
        )
        if found.spare:
            click.echo(f"{len(found.spare)} files that nothing names, such as {found.spare[0]}")
    if not found.ok:
        click.get_current_context().exit(1)


@click.command("api")
def api_command() -> None:
    """Answer HTTP requests at the address that the hub gives."""
    import os
    from urllib.parse import urlsplit

    from stixlab import factory
    from stixlab.api.app import serve
    from stixlab.hub.addresses import SERVICE_URL

    settings = read_settings()
    address = urlsplit(os.environ.get(SERVICE_URL, "http://127.0.0.1:8001"))
    serve(
        lambda: factory.connect(settings),
        settings,
        host=address.hostname or "127.0.0.1",
        port=address.port or 80,
    )


@click.command("accounts")
@click.argument("action", type=click.Choice(["list", "add", "password", "remove"]))
@click.argument("name", required=False)
@click.option("--role", type=click.Choice(["team", "operator"]), default="team", show_default=True)
@json_option
def accounts_command(action: str, name: str | None, *, role: str, as_json: bool) -> None:
    """List accounts; add one, give it a new password (shown once), remove it."""
    from stixlab.hub.accounts import Accounts

    accounts = Accounts(read_settings().home)
    if action == "list":
        rows = [{"name": a.name, "role": a.role, "created": a.created} for a in accounts.all().values()]
        print_rows(rows, ("name", "role", "created"), as_json=as_json)
        return
    if name is None:
        raise click.UsageError(f"accounts {action}: expected the name of an account")
    if action == "remove":
        accounts.remove(name)
        click.echo(f"{name} removed")
        return
    password = accounts.add(name, role=role) if action == "add" else accounts.set_password(name)
    if as_json:
        print_json({"name": name, "password": password})
    else:
        click.echo(f"{name}: password {password} (shown once; hand it over safely)")

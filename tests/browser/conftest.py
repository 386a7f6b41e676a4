"""A platform and a browser for the tests of this folder."""

import shutil

import pytest

from tests.support.platform import running_platform

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """`stixlab up` with simulated hours; it is at rest soon after its last run, not after minutes."""
    with running_platform(tmp_path_factory.mktemp("home"), STIXLAB_WARM_S="10") as platform:
        yield platform


@pytest.fixture(scope="session")
def chromium():
    """The Chromium of this machine; on CI its absence is a failure."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        import os

        message = "browser: expected chromium on the path; install it (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, platform):
    """A page that notes requests to elsewhere and errors of scripts."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=platform.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.outside, page.problems = [], []

    def note(request):
        if not request.url.startswith((platform.url, platform.url.replace("http:", "ws:"), "data:", "blob:")):
            page.outside.append(request.url)

    page.on("request", note)
    page.on("websocket", note)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console", lambda message: page.problems.append(message.text) if message.type == "error" else None
    )
    yield page
    context.close()

"""A real browser for the tests of the page, and what they need around it: another site, and axe-core.

The fixtures are in conftest.py. Set SCREENSHOTS=1 to write the pictures of the README.
"""

import contextlib
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools import ROOT

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium with chromedriver on PATH: the page is not tested in a browser",
)


def start_browser(profile, language="en-US", javascript=True, width=800, dark=False, zone="UTC", now=None):
    """A browser whose profile is this folder."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        f"--lang={language}",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option(
        "prefs",
        {
            "intl.accept_languages": language,
            "profile.managed_default_content_settings.javascript": 1 if javascript else 2,
        },
    )
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
    if now:
        browser.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {
                "source": f"""{{
            const shift = Date.parse("{now}") - Date.now();
            Date = class extends Date {{
                constructor(...given) {{ given.length ? super(...given) : super(Date.now()); }}
                static now() {{ return super.now() + shift; }}
            }};
        }}"""
            },
        )
    return browser


@contextlib.contextmanager
def another_site(pages):
    """Serves these pages, path to HTML, on an origin of its own; -> its URL, without a slash at the end."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path, "").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://another-site.test.localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def violations(browser):
    """What axe-core finds, as lines: the rules of WCAG 2.2 A and AA, and its authors' good practice."""
    browser.execute_script((ROOT / "local" / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = browser.execute_async_script("""
        const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
        axe.run(document, { runOnly: rules }).then(arguments[0]);
    """)
    assert found["passes"], "axe-core looked at nothing"
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


def wait_until(browser, holds, what, seconds=15):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    # One page may give way to the next between finding its text and reading it.
    WebDriverWait(browser, seconds, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda _: holds(), what
    )


def wait_for_text(browser, text):
    wait_until(browser, lambda: text in text_of(browser), f"`{text}` did not appear")


def text_of(browser):
    return browser.find_element("css selector", "main").text


def button(browser):
    return browser.find_element("id", "act")


def card(browser):
    """The look of the state: in, out, part, bad or plain."""
    return browser.find_element("id", "card").get_attribute("class")


def choose(browser, value):
    browser.find_element("css selector", f"[name=for][value='{value}']").click()


def shoot(browser, name):
    if os.environ.get("SCREENSHOTS"):
        screen = {"width": 420, "height": 640, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        (ROOT / "docs").mkdir(exist_ok=True)
        browser.save_screenshot(str(ROOT / "docs" / name))

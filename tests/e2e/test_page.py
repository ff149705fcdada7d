"""The page in a real browser, on the local stack. Set SCREENSHOTS=1 to write the pictures of the README."""

import json
import os
import pathlib
import re
import shutil
import urllib.parse

import pytest

from proxy import Proxy
from stack import POLICY_ARN, ROOT

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium with chromedriver on PATH: the page is not tested in a browser",
)


@pytest.fixture
def site(stack, account):
    """-> (URL of the page through a proxy that keeps every request line, the proxy)"""
    with Proxy(stack.endpoint) as proxy:
        parts = urllib.parse.urlsplit(stack.url)
        port = urllib.parse.urlsplit(proxy.endpoint).port
        yield f"http://{parts.hostname}:{port}/gate/", proxy


@pytest.fixture
def open_browser(tmp_path):
    """A function that starts a browser with an empty profile; every one is closed in the end."""
    from selenium import webdriver

    browsers = []

    def start(language="en-US", javascript=True, width=800, dark=False):
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
            f"--user-data-dir={tmp_path / str(len(browsers))}",
        ):
            options.add_argument(flag)
        if dark:
            options.add_argument("--force-dark-mode")
        options.add_experimental_option(
            "prefs",
            {
                "intl.accept_languages": language,
                "profile.managed_default_content_settings.javascript": 1 if javascript else 2,
            },
        )
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        browsers.append(browser)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        return browser

    yield start
    for browser in browsers:
        browser.quit()


def wait_for_text(browser, text, seconds=15):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    # One page may give way to the next between finding its text and reading it.
    WebDriverWait(browser, seconds, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda b: text in b.find_element("css selector", "main").text, f"`{text}` did not appear"
    )


def text_of(browser):
    return browser.find_element("css selector", "main").text


def button(browser):
    return browser.find_element("css selector", "button")


def shoot(browser, name):
    if os.environ.get("SCREENSHOTS"):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 420, "height": 460, "deviceScaleFactor": 1, "mobile": False},
        )
        (ROOT / "docs").mkdir(exist_ok=True)
        browser.save_screenshot(str(ROOT / "docs" / name))


@needs_browser
def test_a_bookmark_and_one_click_let_the_member_in(stack, account, site, open_browser):
    url, proxy = site
    browser = open_browser()
    before = account.default(POLICY_ARN)
    browser.get(f"{url}#key={stack.member_key}")
    wait_for_text(browser, "is not allowed yet")
    assert "127.0.0.1" in text_of(browser)
    assert stack.member_key not in browser.current_url, "the fragment is dropped from the address bar"
    assert account.default(POLICY_ARN) == before, "loading the page, its script included, changes nothing"
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []
    button(browser).click()
    wait_for_text(browser, "is allowed now")
    assert "AWS may take some seconds" in text_of(browser) and "every day at 00:00 UTC" in text_of(browser)
    assert "127.0.0.1/32" in account.entries(POLICY_ARN)
    browser.find_element("css selector", "summary").click()
    assert f"curl -H 'Authorization: Bearer {stack.member_key}' {url}add" in text_of(browser)
    browser.find_element("css selector", "summary").click()
    shoot(browser, "allowed.png")
    # Both APIs were asked, and neither saw the key in a request line or a referrer.
    posts = [line for line, _ in proxy.seen if line.startswith("POST /gate/add")]
    assert len(posts) == 2, proxy.seen
    assert not any(stack.member_key in line + referrer for line, referrer in proxy.seen), proxy.seen
    assert not any(line.startswith("OPTIONS") for line, _ in proxy.seen), "simple requests need no preflight"

    again = open_browser()
    again.get(f"{url}#key={stack.member_key}")
    wait_for_text(again, "is allowed")
    assert "is not allowed" not in text_of(again)


@needs_browser
def test_a_wrong_key_is_told_so_and_may_be_typed_anew(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(site[0] + "#key=wrong")
    wait_for_text(browser, "a valid member key is needed")
    shoot(browser, "refused.png")
    field = browser.find_element("id", "key")
    field.send_keys(stack.member_key)
    button(browser).click()
    wait_for_text(browser, "is allowed now")


@needs_browser
def test_japanese_browsers_read_japanese(stack, account, site, open_browser):
    browser = open_browser(language="ja")
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "はまだ許可されていません")
    assert browser.find_element("css selector", "html").get_attribute("lang") == "ja"
    button(browser).click()
    wait_for_text(browser, "を許可しました")
    wrong = open_browser(language="ja")
    wrong.get(site[0] + "#key=wrong")
    wait_for_text(wrong, "有効なキーが必要です")


@needs_browser
def test_without_javascript_a_form_posts_the_key(stack, account, site, open_browser):
    browser = open_browser(javascript=False)
    browser.get(site[0])
    browser.find_element("id", "key").send_keys(stack.member_key)
    button(browser).click()
    wait_for_text(browser, "is allowed now")
    assert browser.current_url.endswith("/gate/add")
    assert not any(stack.member_key in line + referrer for line, referrer in site[1].seen)
    assert "127.0.0.1/32" in account.entries(POLICY_ARN)


@needs_browser
def test_the_page_works_by_keyboard_on_a_narrow_screen_in_the_dark(stack, account, site, open_browser):
    from selenium.webdriver.common.keys import Keys

    browser = open_browser(width=320, dark=True)
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "is not allowed yet")
    for _ in range(5):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element == button(browser):
            break
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for_text(browser, "is allowed now")
    browser.execute_script("document.getElementById('command').open = true")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 320
    assert browser.find_element("css selector", "[role=status]").text != ""
    assert (
        browser.find_elements("css selector", "main h1")
        and browser.find_element("css selector", "label").get_attribute("for") == "key"
    )


@needs_browser
def test_nothing_of_the_page_is_refused_by_its_own_policy(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "is not allowed yet")
    assert [
        entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]
    ] == []
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('button')).cursor")
        == "pointer"
    ), "the style applies"


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_has_contrast_in_light_and_dark():
    css = pathlib.Path(ROOT / "functions/add-ip/src/page/page.css").read_text()
    schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", line)) for line in css.splitlines()[:2]]
    assert len(schemes) == 2 and all(len(scheme) == 7 for scheme in schemes)
    for scheme in schemes:
        colors = {
            name: value if len(value) == 7 else "#" + "".join(c * 2 for c in value[1:])
            for name, value in scheme.items()
        }
        for name in ("ink", "good", "bad", "act"):
            assert contrast(colors[name], colors["paper"]) >= 4.5, name
        assert contrast(colors["on-act"], colors["act"]) >= 4.5
        assert contrast(colors["line"], colors["paper"]) >= 3


def test_answers_carry_strict_headers_over_http(stack, account):
    import http.client

    parts = urllib.parse.urlsplit(stack.endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    host = urllib.parse.urlsplit(stack.url).netloc
    connection.request("GET", "/gate/", headers={"Host": host, "Accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read().decode()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    assert answer.status == 200 and "<!DOCTYPE html>" in body
    assert (
        "frame-ancestors 'none'" in headers["content-security-policy"]
        and headers["referrer-policy"] == "no-referrer"
    )
    assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
    peer = headers["access-control-allow-origin"]
    assert (
        peer.startswith("http://")
        and peer != f"http://{host}"
        and f"connect-src 'self' {peer};" in headers["content-security-policy"]
    )
    assert (
        len([name for name, _ in answer.getheaders() if name.lower() == "access-control-allow-origin"]) == 1
    )
    status, body = stack.call(stack.member_key, url=stack.url.replace("/add", "/status"))
    assert (status, json.loads(body)["allowed"]) == (200, False)

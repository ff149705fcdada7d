"""The page for everybody: by keyboard, on narrow screens, in light and dark, and in any time zone."""

import http.client
import pathlib
import re
import urllib.parse

import pytest

from browser import another_site, button, card, needs_browser, violations, wait_for_text, wait_until
from tools import ROOT


@needs_browser
@pytest.mark.parametrize("language, dark, width", [("en-US", False, 800), ("ja", True, 320)])
def test_axe_finds_nothing_in_any_state(stack, account, site, open_browser, language, dark, width):
    browser = open_browser(language=language, dark=dark, width=width)

    def check(state):
        wait_until(browser, lambda: card(browser) == state, f"the state did not become {state}")
        wait_until(
            browser,
            lambda: not browser.find_elements("css selector", "[data-busy]"),
            "the page is still busy",
        )
        assert violations(browser) == [], state
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, state

    browser.get(site[0])
    check("plain")
    browser.get(site[0] + "add")
    check("bad")
    browser.get("about:blank")
    browser.get(f"{site[0]}#key={stack.member_key}")
    check("out")
    browser.execute_script("document.getElementById('command').open = true")
    check("out")
    button(browser).click()
    check("in")


@needs_browser
def test_the_page_works_by_keyboard(stack, account, site, open_browser):
    from selenium.webdriver.common.keys import Keys

    browser = open_browser(width=320, dark=True)
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")

    def tab_to(wanted):
        for _ in range(8):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            if wanted(browser.switch_to.active_element):
                outline = browser.switch_to.active_element.value_of_css_property("outline-style")
                assert outline != "none", "the focus is visible"
                return browser.switch_to.active_element
        raise AssertionError("not reached by the tabulator")

    radio = tab_to(lambda element: element.get_attribute("name") == "for")
    radio.send_keys(Keys.ARROW_LEFT)
    assert browser.find_element("css selector", "[name=for]:checked").get_attribute("value") == "4h"
    tab_to(lambda element: element == button(browser)).send_keys(Keys.ENTER)
    wait_for_text(browser, "Your entries")
    assert card(browser) == "in"
    assert browser.switch_to.active_element == button(browser), "the focus stays"
    tab_to(lambda element: "Remove" in (element.get_attribute("aria-label") or "")).send_keys(Keys.ENTER)
    wait_for_text(browser, "was removed")


@needs_browser
def test_a_screen_reader_is_told_of_every_change(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")

    def told():
        return [region.text for region in browser.find_elements("css selector", "[role=status]")]

    assert "You are not in yet" in told()
    button(browser).click()
    wait_for_text(browser, "AWS may take some seconds")
    assert "You are in" in told() and any("AWS may take" in text for text in told())


@needs_browser
@pytest.mark.parametrize(
    "now, zone, schedule, schedule_zone, until",
    [
        ("2026-11-24T12:00:00Z", "Europe/Paris", "cron(0 0 * * ? *)", "Asia/Tokyo", "4:00 PM"),
        ("2026-11-24T15:00:01Z", "Europe/Paris", "cron(0 0 * * ? *)", "Asia/Tokyo", "tomorrow 4:00 PM"),
        ("2026-11-24T12:00:00Z", "Asia/Kathmandu", "cron(30 2 ? * SUN *)", "UTC", "Sun, Nov 29, 8:15 AM"),
        ("2026-11-24T12:00:00Z", "UTC", "cron(7 5 ? * * *)", "Asia/Kathmandu", "11:22 PM"),
        # Paris has no 02:30 on 28 March 2027, so the schedule skips that day.
        ("2027-03-27T20:00:00Z", "UTC", "cron(30 2 * * ? *)", "Europe/Paris", "Mon, Mar 29, 12:30 AM"),
        # What is neither daily nor weekly, and zones that no browser knows, are left to the description.
        ("2026-11-24T12:00:00Z", "UTC", "cron(0 0 1 * ? *)", "UTC", "the next reset"),
        ("2026-11-24T12:00:00Z", "UTC", "cron(0 0 ? * MON-FRI *)", "UTC", "the next reset"),
        ("2026-11-24T12:00:00Z", "UTC", "rate(1 day)", "UTC", "the next reset"),
        ("2026-11-24T12:00:00Z", "UTC", "cron(0 0 * * ? *)", "Mars/Olympus", "the next reset"),
    ],
)
def test_the_next_reset_is_told_in_the_readers_zone(
    stack, account, open_browser, now, zone, schedule, schedule_zone, until
):
    parts = urllib.parse.urlsplit(stack.endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request(
        "GET", "/gate/", headers={"Host": urllib.parse.urlsplit(stack.url).netloc, "Accept": "text/html"}
    )
    page = connection.getresponse().read().decode()
    for name, value in (("schedule", schedule), ("zone", schedule_zone)):
        page, count = re.subn(f'data-{name}="[^"]*"', f'data-{name}="{value}"', page)
        assert count == 1
    with another_site({"/": page}) as other:
        browser = open_browser(zone=zone, now=now)
        browser.get(other + "/")
        wait_until(
            browser,
            lambda: button(browser).text == f"Let me in until {until}",
            f"not `{until}`: {button(browser).text}",
        )


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_has_contrast_in_light_and_dark():
    css = pathlib.Path(ROOT / "functions/add-ip/src/page/page.css").read_text()
    schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", line)) for line in css.splitlines()[:2]]
    assert len(schemes) == 2 and all(len(scheme) == 10 for scheme in schemes)
    for colors in schemes:
        for surface in ("paper", "sheet"):
            for name in ("ink", "soft", "in", "out", "bad", "act"):
                assert contrast(colors[name], colors[surface]) >= 4.5, (name, surface)
            assert contrast(colors["line"], colors[surface]) >= 3, surface
        assert contrast(colors["on-act"], colors["act"]) >= 4.5

"""Nobody but the member acts by the page: other sites do not, and no key leaks from it."""

import http.client
import json
import urllib.parse

from browser import another_site, button, card, needs_browser, wait_for_text, wait_until
from emulator import POLICY_ARN


def untouched(stack, account, before):
    assert account.default(POLICY_ARN) == before
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []


@needs_browser
def test_no_key_is_in_a_request_line_or_a_referrer(stack, account, site, open_browser):
    url, proxy = site
    browser = open_browser()
    browser.get(f"{url}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    assert browser.current_url == url, "the fragment is dropped from the address bar"
    button(browser).click()
    wait_for_text(browser, "Your entries")
    browser.find_element("css selector", "#list button").click()
    wait_for_text(browser, "was removed")
    paths = {line.split()[1] for line, _ in proxy.seen}
    assert {"/gate/", "/gate/status", "/gate/add", "/gate/remove"} <= paths, paths
    assert not any(stack.member_key in line + referrer for line, referrer in proxy.seen), proxy.seen
    entries = browser.execute_cdp_cmd("Page.getNavigationHistory", {})["entries"]
    assert not any(stack.member_key in entry["url"] for entry in entries), "nor in the history"


@needs_browser
def test_requests_that_another_site_makes_are_refused(stack, account, site, open_browser):
    url, proxy = site
    query = f"key={stack.member_key}"
    page = f"""<!DOCTYPE html><title>Another site</title>
        <img src="{url}add?{query}"><iframe src="{url}add?{query}"></iframe>
        <link rel="stylesheet" href="{url}add?{query}&x">
        <form method="post" action="{url}add"><input name="key" value="{stack.member_key}"></form>
        <script>
          window.answers = [];
          const body = new URLSearchParams("{query}");
          const ask = (options) => fetch("{url}add", {{ method: "POST", body, ...options }})
            .then((answer) => answers.push(answer.type), (error) => answers.push(String(error)));
          ask({{ mode: "cors" }}); ask({{ mode: "no-cors" }}); navigator.sendBeacon("{url}add", body);
        </script>"""
    before = account.default(POLICY_ARN)
    browser = open_browser()
    with another_site({"/": page}) as other:
        browser.get(other + "/")

        def arrived(method):
            return len([line for line, _ in proxy.seen if line.startswith(f"{method} /gate/add")])

        wait_until(
            browser, lambda: arrived("POST") >= 3 and arrived("GET") >= 3, f"not all arrived: {proxy.seen}"
        )
        wait_until(
            browser, lambda: len(browser.execute_script("return answers")) == 2, "the script still waits"
        )
        assert sorted(browser.execute_script("return answers")) == ["TypeError: Failed to fetch", "opaque"]
        untouched(stack, account, before)
        browser.execute_script("document.forms[0].submit()")
        wait_for_text(browser, "another site made this request")
        assert card(browser) == "bad"
        assert stack.member_key not in browser.page_source, "a key that another site sent is not taken over"
    untouched(stack, account, before)


@needs_browser
def test_a_link_on_another_site_shows_the_page(stack, account, site, open_browser):
    url, _ = site
    before = account.default(POLICY_ARN)
    link = f'<!DOCTYPE html><title>x</title><a href="{url}add?key={stack.member_key}&for=2h">x</a>'
    with another_site({"/": link}) as other:
        browser = open_browser()
        browser.get(other + "/")
        browser.find_element("css selector", "a").click()
        wait_for_text(browser, "You are not in yet")
        assert browser.current_url == url, "the key is stripped from the address bar"
        untouched(stack, account, before)
        assert browser.find_element("css selector", "[name=for]:checked").get_attribute("value") == "2h"
        button(browser).click()
        wait_for_text(browser, "You are in")

        plain = open_browser(javascript=False)
        account.start_over(POLICY_ARN, account.document(POLICY_ARN))
        before, grants = account.default(POLICY_ARN), account.keys(stack.outputs["StateBucket"], "grants/")
        plain.get(other + "/")
        plain.find_element("css selector", "a").click()
        wait_for_text(plain, "Nothing has changed yet")
        assert account.default(POLICY_ARN) == before
        assert account.keys(stack.outputs["StateBucket"], "grants/") == grants
        button(plain).click()
        wait_for_text(plain, "You are in")
        assert plain.current_url == f"{url}add", "the form posts the key"


@needs_browser
def test_a_typed_url_with_a_key_acts_at_once(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}add?key={stack.member_key}")
    wait_for_text(browser, "You are in")
    assert "127.0.0.1/32" in account.entries(POLICY_ARN)
    wait_until(browser, lambda: browser.current_url == site[0], "the key stays in the address bar")


@needs_browser
def test_a_link_cannot_write_into_the_command_line(stack, account, site, open_browser):
    odd = urllib.parse.quote('1h";touch /tmp/x;"$(id)`id`')
    with another_site(
        {"/": f'<!DOCTYPE html><title>x</title><a href="{site[0]}add?key={odd}&for={odd}&ip={odd}">x</a>'}
    ) as other:
        browser = open_browser()
        browser.get(other + "/")
        browser.find_element("css selector", "a").click()
        wait_until(browser, lambda: browser.current_url == site[0], "the page did not come")
        browser.execute_script("document.getElementById('command').open = true")
        for line in browser.find_element("id", "lines").get_attribute("textContent").splitlines():
            assert line.count('"') == 4 and not set(line) & set(";$`()"), line


@needs_browser
def test_nothing_of_the_page_is_refused_by_its_own_policy(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    assert [
        entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]
    ] == []
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('button')).cursor")
        == "pointer"
    ), "the style applies"


def test_answers_carry_strict_headers_over_http(stack, account):
    parts = urllib.parse.urlsplit(stack.endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    host = urllib.parse.urlsplit(stack.url).netloc
    connection.request("GET", "/gate/", headers={"Host": host, "Accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read().decode()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    assert answer.status == 200 and "<!DOCTYPE html>" in body and len(body.encode()) < 20_000
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
    connection.request("GET", "/gate/", headers={"Host": host})
    assert json.loads(connection.getresponse().read()) == {"network": "127.0.0.1/32"}
    status, body = stack.call(stack.member_key, url=stack.url.replace("/add", "/status"))
    assert (status, json.loads(body)["allowed"]) == (200, False)

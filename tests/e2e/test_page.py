"""What a member does on the page, in a real browser, on the local stack."""

import re
import time

from browser import button, card, choose, needs_browser, shoot, text_of, wait_for_text, wait_until
from emulator import POLICY_ARN

ADDRESS = "127.0.0.1/32"


def grants(stack, account):
    return account.keys(stack.outputs["StateBucket"], "grants/")


@needs_browser
def test_a_bookmark_and_one_click_let_the_member_in(stack, account, site, open_browser):
    url, proxy = site
    browser = open_browser()
    before = account.default(POLICY_ARN)
    browser.get(f"{url}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    assert ADDRESS in text_of(browser) and card(browser) == "out"
    assert "You are not in yet" in browser.title
    assert button(browser).text.startswith("Let me in until ")
    assert account.default(POLICY_ARN) == before, "loading the page, its script included, changes nothing"
    assert grants(stack, account) == []
    button(browser).click()
    wait_for_text(browser, "AWS may take some seconds")
    assert "You are in" in text_of(browser) and card(browser) == "in"
    assert "until " in text_of(browser)
    assert ADDRESS in account.entries(POLICY_ARN)
    wait_until(browser, lambda: button(browser).text == "Nothing to do", "the button still does something")
    shoot(browser, "allowed.png")
    # Both APIs were asked, by simple requests.
    posts = [line for line, _ in proxy.seen if line.startswith("POST /gate/add")]
    assert len(posts) == 2, proxy.seen
    assert not any(line.startswith("OPTIONS") for line, _ in proxy.seen), "simple requests need no preflight"

    # The button has nothing to do, so pressing it asks for nothing.
    button(browser).click()
    again = open_browser()
    again.get(f"{url}#key={stack.member_key}")
    wait_for_text(again, "You are in")
    assert len([line for line, _ in proxy.seen if line.startswith("POST /gate/add")]) == 2


@needs_browser
def test_the_command_line_is_there_to_be_copied(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    browser.find_element("css selector", "summary").click()
    line = f'curl -H "Authorization: Bearer {stack.member_key}" "{site[0]}add'
    assert f'{line}"' in text_of(browser)
    choose(browser, "4h")
    assert f'{line}?for=4h"' in text_of(browser)
    permission = {
        "origin": site[0].removesuffix("/gate/"),
        "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"],
    }
    browser.execute_cdp_cmd("Browser.grantPermissions", permission)
    browser.find_element("id", "copy").click()
    wait_for_text(browser, "Copied")
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.splitlines()[0] == f'{line}?for=4h"'


@needs_browser
def test_a_member_chooses_how_long_the_entry_lasts(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    choose(browser, "1h")
    started = time.time()
    button(browser).click()
    wait_for_text(browser, "AWS may take some seconds")
    assert "You are in" in text_of(browser) and " left" in text_of(browser)
    [grant] = grants(stack, account)
    end = int(re.fullmatch(r"grants/127\.0\.0\.1_32/alice@(\d+)\.json", grant)[1])
    assert started + 3590 <= end <= time.time() + 3610
    # The newest choice decides, and the page says what it would do.
    choose(browser, "")
    wait_until(
        browser, lambda: button(browser).text.startswith(("Stay until", "Nothing")), button(browser).text
    )
    choose(browser, "4h")
    if button(browser).text == "Nothing to do":
        return  # The reset is less than an hour away.
    button(browser).click()
    wait_until(browser, lambda: grants(stack, account) not in ([grant], []), "the entry has its old end")
    [grant] = grants(stack, account)
    assert int(grant.split("@")[1].split(".")[0]) > end + 3 * 3600 - 60


@needs_browser
def test_a_member_removes_an_entry_on_the_page(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    assert "Your entries" not in text_of(browser)
    button(browser).click()
    wait_for_text(browser, "Your entries")
    assert "this device" in text_of(browser)
    browser.find_element("css selector", f"[aria-label='Remove {ADDRESS}']").click()
    wait_for_text(browser, f"{ADDRESS} was removed")
    wait_for_text(browser, "You are not in yet")
    assert "Your entries" not in text_of(browser)
    assert ADDRESS not in account.entries(POLICY_ARN) and grants(stack, account) == []
    assert browser.switch_to.active_element.get_attribute("id") == "heading", "the focus does not get lost"


@needs_browser
def test_a_wrong_key_may_be_typed_anew(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(site[0] + "#key=wrong")
    wait_for_text(browser, "a valid member key is needed")
    assert card(browser) == "bad"
    shoot(browser, "refused.png")
    browser.find_element("id", "key").send_keys(stack.member_key)
    button(browser).click()
    wait_for_text(browser, "You are in")
    assert not browser.find_element("id", "key").is_displayed()


@needs_browser
def test_a_look_with_a_typed_key_changes_nothing(stack, account, site, open_browser):
    browser = open_browser()
    browser.get(site[0])
    wait_for_text(browser, f"AWS sees you as {ADDRESS}")
    browser.find_element("id", "key").send_keys(stack.member_key)
    browser.find_element("id", "check").click()
    wait_for_text(browser, "You are not in yet")
    assert grants(stack, account) == []


@needs_browser
def test_japanese_browsers_read_japanese(stack, account, site, open_browser):
    browser = open_browser(language="ja")
    browser.get(f"{site[0]}#key={stack.member_key}")
    wait_for_text(browser, "まだ許可されていません")
    assert browser.find_element("css selector", "html").get_attribute("lang") == "ja"
    assert button(browser).text.endswith("まで許可する")
    button(browser).click()
    wait_for_text(browser, "数秒かかることがあります")
    assert "許可されています" in text_of(browser) and "この端末" in text_of(browser)
    # No word is left in English but names, units of the command line and the administrator's own description.
    browser.find_element("css selector", f"[aria-label='削除 {ADDRESS}']").click()
    wait_for_text(browser, f"{ADDRESS} を削除しました")
    wrong = open_browser(language="ja")
    wrong.get(site[0] + "#key=wrong")
    wait_for_text(wrong, "有効なキーが必要です")


@needs_browser
def test_everything_works_without_javascript(stack, account, site, open_browser):
    browser = open_browser(javascript=False)
    browser.get(site[0])
    browser.find_element("id", "key").send_keys(stack.member_key)
    choose(browser, "1h")
    button(browser).click()
    wait_for_text(browser, "You are in")
    assert browser.current_url.endswith("/gate/add") and " UTC" in text_of(browser)
    assert ADDRESS in account.entries(POLICY_ARN)
    browser.find_element("id", "check").click()
    wait_for_text(browser, "Your entries")
    assert "this device" in text_of(browser) and browser.current_url.endswith("/gate/status")
    browser.find_element("css selector", f"[aria-label='Remove {ADDRESS}']").click()
    wait_for_text(browser, f"{ADDRESS} was removed")
    assert ADDRESS not in account.entries(POLICY_ARN) and grants(stack, account) == []
    assert not any(stack.member_key in line + referrer for line, referrer in site[1].seen)

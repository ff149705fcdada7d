"""docs/costs.md counts what the release binaries call of S3 for a request, and the requests of a visit."""

import collections
import re

import pytest

from browser import button, needs_browser, wait_for_text, wait_until
from emulator import POLICY_ARN
from proxy import Proxy
from runtime import ADD_IP, RESET_POLICY, Function, add_event
from tools import ROOT

COSTS = (ROOT / "docs" / "costs.md").read_text()


@pytest.fixture
def counted(stack, account):
    with Proxy(stack.endpoint) as aws:
        settings = {
            "AWS_ENDPOINT_URL": aws.endpoint,
            "POLICY_ARNS": POLICY_ARN,
            "STATE_BUCKET": stack.outputs["StateBucket"],
        }
        with Function(ADD_IP, settings) as add_ip, Function(RESET_POLICY, settings, 120) as reset_policy:

            def call(function, event):
                """-> {GET, PUT, LIST: calls of S3}, when the work after the answer is over"""
                aws.counts.clear()
                failed, answer = function.call(event)
                assert not failed, answer
                # The next invocation begins when that work has ended. These two call nothing of AWS.
                function.call({"resource": "/nowhere"} if function is add_ip else {"rollback": 1})
                calls = {"GET": 0, "PUT": 0, "LIST": 0}
                for name, count in aws.counts.items():
                    calls[name.split(" ")[0]] = calls.get(name.split(" ")[0], 0) + count
                return {name: calls[name] for name in ("GET", "PUT", "LIST") if calls[name]}

            # The first add of all also stores the baseline.
            call(add_ip, add_event(stack.member_key, "51.44.71.9"))
            yield {
                "add": call(add_ip, add_event(stack.member_key, "51.44.71.1")),
                "already_allowed": call(add_ip, add_event(stack.member_key, "51.44.71.1")),
                "status": call(add_ip, {**add_event(stack.member_key, "51.44.71.1"), "resource": "/status"}),
                "stranger": call(add_ip, add_event("w" * 64, "51.44.71.1")),
                "expire": call(reset_policy, {"expire": True}),
            }


def told(cell):
    """`3 GET, 3 PUT, 1 LIST: $21.20` -> the calls and their price"""
    calls, price = cell.split(": $")
    return {name: int(count) for count, name in re.findall(r"(\d+) (GET|PUT|LIST)", calls)}, float(price)


def test_the_calls_of_s3_are_those_that_the_costs_count(counted):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in COSTS.splitlines()
        if line.startswith("| S3")
    ]
    (_, add, status, _), (_, stranger, member) = rows
    for name, cell in {"add": add, "status": status, "stranger": stranger, "already_allowed": member}.items():
        calls, price = told(cell)
        assert calls == counted[name], name
        per_million = 0.4 * calls.get("GET", 0) + 5 * (calls.get("PUT", 0) + calls.get("LIST", 0))
        assert price == pytest.approx(per_million), name
    assert counted["expire"] == {"LIST": 1}


def test_every_sum_in_the_costs_adds_up():
    tables = re.findall(r"(?:^\|.*\n)+", COSTS, re.MULTILINE)
    for table in (table for table in tables if "**sum**" in table):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
        for column in range(1, len(rows[0])):
            prices = [re.findall(r"\$(\d+\.\d\d)", row[column]) for row in rows]
            *parts, total = (float(found[-1]) if found else 0 for found in prices)
            if total:
                assert sum(parts) == pytest.approx(total, abs=0.011), (column, rows[-1])


def of_a_busy_member():
    """-> pages, `/status` and `/add` in a month, and the price of each for a million"""
    counts = re.search(r"(\d+) pages, (\d+) `/status` and (\d+) `/add`:", COSTS).groups()
    add, status, page = re.search(r"\| \*\*sum\*\* \|((?: \*\*\$\d+\.\d\d\*\* \|){3})\n", COSTS)[1].split(
        "|"
    )[:3]
    prices = [float(cell.strip(" *$")) for cell in (page, status, add)]
    return [int(count) for count in counts], prices


@needs_browser
def test_a_visit_makes_the_requests_that_the_costs_count(stack, account, site, open_browser):
    url, proxy = site
    browser = open_browser()
    browser.get(f"{url}#key={stack.member_key}")
    wait_for_text(browser, "You are not in yet")
    button(browser).click()
    wait_for_text(browser, "AWS may take some seconds")
    wait_until(browser, lambda: button(browser).text == "Nothing to do", "the button still does something")
    requests = collections.Counter(line.split(" ")[1].split("?")[0] for line, _ in proxy.seen)
    (pages, status, add), _ = of_a_busy_member()
    assert status % pages == add % pages == 0
    assert requests == {"/gate/": 1, "/gate/status": status // pages, "/gate/add": add // pages}
    told = re.search(r"1 page, (\d+) `/status` and (\d+) `/add`", COSTS).groups()
    assert told == (str(status // pages), str(add // pages))


def test_the_price_of_a_busy_member_follows_from_the_requests():
    counts, prices = of_a_busy_member()
    month = sum(count * price for count, price in zip(counts, prices, strict=True)) / 1e6
    products = " + ".join(
        f"{n} \N{MULTIPLICATION SIGN} ${price}" for n, price in zip(counts, prices, strict=True)
    )
    assert f"{products}, for a million = **${month:.4f} a month**" in COSTS
    rows = re.findall(r"^\| (\d+) \| \$(\S+) \| \$0\.09 \| \$1\.14 \| \$(\S+) \|$", COSTS, re.MULTILINE)
    assert [members for members, *_ in rows] == ["5", "50", "500"]
    for members, requests, total in rows:
        assert float(requests) == pytest.approx(int(members) * month, abs=0.006)
        # The table for readers is rounded up to ten cents; the READMEs name two of its sums.
        shown = f"${-(-round(float(total) * 100) // 10) / 10:.2f}"
        assert f"| {members} members | $1.15 | {shown} |" in COSTS
        if members != "5":
            assert f"{shown} with {members}" in (ROOT / "README.md").read_text()
            assert f"{members} 人で {shown}" in (ROOT / "README.ja.md").read_text()

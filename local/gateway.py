"""The questions about API Gateway: what it answers by itself, IPv6, and when add-ip cannot be called."""

import collections
import concurrent.futures
import socket
import urllib.parse

import endpoints
from asking import NotAsked, question
from world import wait_for

GATEWAY = "The gateway"


@question(
    GATEWAY,
    "A wrong path with a key is a plain 404, and the key is not repeated.",
    "404 `not_found`",
    real=True,
)
def wrong_path(world, _):
    found = world.call("my-secret-text", "nothing")
    repeated = "my-secret-text" in found.text + str(found.headers)
    return found.status == 404 and found.json().get("error") == "not_found" and not repeated, found


@question(GATEWAY, "A wrong method and HEAD get the gateway's 404.", "404, 404", real=True)
def wrong_method(world, _):
    seen = [world.call(method=method).status for method in ("PUT", "HEAD")]
    return seen == [404, 404], seen


@question(
    GATEWAY, "A browser may read the gateway's own answers.", "`access-control-allow-origin: *`", real=True
)
def readable(world, _):
    seen = world.call(path="nothing", headers={"Origin": "https://example.com"}).headers
    return seen["Access-Control-Allow-Origin"] == "*", seen["Access-Control-Allow-Origin"]


@question(
    GATEWAY,
    "`WWW-Authenticate` is renamed.",
    "`x-amzn-Remapped-WWW-Authenticate`, a 401 of the function",
    real=True,
)
def renamed(world, _):
    names = [name for name in world.call().headers if "authenticate" in name.lower()]
    return [name.lower() for name in names] == ["x-amzn-remapped-www-authenticate"], names


@question(GATEWAY, "The second API is dual-stack.", "`dualstack`, and an IPv6 address in DNS", real=True)
def dual_stack(world, _):
    api = world.client("apigateway").get_rest_api(restApiId=world.resources()["DualStackApi"])
    kind = api.get("endpointConfiguration", {}).get("ipAddressType")
    return kind == "dualstack" and bool(
        ipv6_of(world)
    ), f"{kind}, {len(ipv6_of(world))} IPv6 addresses in DNS"


def ipv6_of(world):
    host = urllib.parse.urlsplit(world.url(output="DualStackAddUrl")).hostname
    try:
        return {found[4][0] for found in socket.getaddrinfo(host, 443, socket.AF_INET6, socket.SOCK_STREAM)}
    except OSError:
        return set()


@question(GATEWAY, "The dual-stack API answers over IPv6.", "401 from its IPv6 address, over TLS", real=True)
def over_ipv6(world, _):
    url = urllib.parse.urlsplit(world.url(output="DualStackAddUrl"))
    reason = ""
    for address in ipv6_of(world):
        try:
            socket.create_connection((address, 443), timeout=5).close()
        except OSError as error:
            reason = f": {error}"
            continue
        status = endpoints.answer_at(address, url.hostname, url.path)
        return status == 401, f"HTTP {status} from {url.hostname}, over IPv6"
    raise NotAsked(f"this machine has no way out over IPv6{reason}")


@question(
    GATEWAY,
    "If add-ip cannot be called, the gateway answers in the functions' form.",
    "5xx `gateway_error`, with `access-control-allow-origin`; then 401 again",
    real=True,
)
def function_away(world, _):
    client, name = world.client("lambda"), world.resources()["AddIpFunction"]
    before = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    try:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        away = answered(world, lambda status: status >= 500)
    finally:
        if before is None:
            client.delete_function_concurrency(FunctionName=name)
        else:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)
    back = answered(world, lambda status: status == 401)
    origin = away.headers["Access-Control-Allow-Origin"]
    good = away.status >= 500 and away.json().get("error") == "gateway_error" and origin == "*"
    return good and back.status == 401, f"{away}, `access-control-allow-origin: {origin}`; then {back.status}"


def answered(world, is_so):
    """Calls the URL until its status is so or the patience is over; -> the last answer"""
    return wait_for(lambda: world.call(path="status"), world.patience, 1, lambda answer: is_so(answer.status))


@question(
    GATEWAY,
    "Throttling answers in the functions' form.",
    "of 400 requests some 429, with `Retry-After` and `access-control-allow-origin`",
    real=True,
)
def throttling(world, _):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda _: world.call(path="status"), range(400)))
    counts = dict(collections.Counter(each.status for each in found))
    refused = next((each for each in found if each.status == 429), None)
    if refused is None:
        return False, counts
    headers = {name: refused.headers[name] for name in ("Retry-After", "Access-Control-Allow-Origin")}
    good = refused.json().get("error") == "throttled" and all(headers.values())
    return good and set(counts) <= {401, 429}, f"{counts}; {refused} {headers}"

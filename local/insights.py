"""CloudWatch Logs: lines of a log, and queries of Logs Insights."""

import time

from world import wait_for

RUNNING = ("Scheduled", "Running")


def events(world, group, pattern, **given):
    """-> the events of a log group that a filter pattern lets through"""
    pages = world.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=group, filterPattern=pattern, **given)
    return [event for page in found for event in page["events"]]


def messages(world, group, pattern):
    return [event["message"].strip() for event in events(world, group, pattern)]


def query(world, groups, text, enough=bool):
    """Asks until enough is found or the patience is over; -> [{field: value}]

    Logs Insights needs some minutes to have the newest lines.
    """
    return wait_for(lambda: rows_of(world.client("logs"), groups, text), world.patience, 10, enough)


def rows_of(client, groups, text):
    # With room for a clock that is not right.
    now = int(time.time())
    given = {"logGroupNames": groups, "startTime": now - 14400, "endTime": now + 3600}
    number = client.start_query(**given, queryString=text)["queryId"]
    while (found := client.get_query_results(queryId=number))["status"] in RUNNING:
        time.sleep(1)
    return [{pair["field"]: pair["value"] for pair in row} for row in found["results"]]

"""Waiting until something has come true, and not a moment longer."""

import time


def wait_for(condition, seconds=30, what="it did not come true"):
    """Asks again and again; -> the first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.05)
    return answer

"""The program `ip-gate` on a terminal of its own, with a person at the keyboard."""

import os
import pty
import select
import termios
import time


class Terminal:
    """A context manager: a running command. It is ended in the end."""

    def __init__(self, program, *arguments, **environment):
        command = [str(program.path), *arguments]
        self.printed = ""
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.execve(command[0], command, {**program.environment, **environment})

    def wait_for(self, part, seconds=30):
        """Waits until this was printed."""
        deadline = time.monotonic() + seconds
        while part not in self.printed:
            assert time.monotonic() < deadline and self.read(), f"`{part}` was not printed: {self.printed!r}"

    def read(self):
        """Reads what was printed meanwhile; `False` when the program has ended."""
        if not select.select([self.descriptor], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self.descriptor, 4096)
        except OSError:  # Linux says so when the other end is closed.
            return False
        self.printed += data.decode()
        return bool(data)

    def wait_until_hidden(self, seconds=30):
        """Waits until the terminal no longer shows what is typed: the prompt comes a moment before."""
        deadline = time.monotonic() + seconds
        while termios.tcgetattr(self.descriptor)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "what is typed is shown"
            time.sleep(0.01)

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def end(self):
        """Waits for the end; -> the exit status."""
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

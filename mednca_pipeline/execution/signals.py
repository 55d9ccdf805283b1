"""How a process ends: its exit codes; and the end that a signal asks for, as an exception that closes what is open."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

DONE, OUR_FAULT, INPUT_FAULT = 0, 1, 2  # exit codes of every command and job; of one that is stopped: exit_code
_ONCE_S = 5.0  # that an end may take in which the same request does not interrupt it


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(number, message)  # so that it can be sent between processes
        self.number, self.message = number, message

    def __str__(self) -> str:
        return self.message or f"Stopped by {signal.Signals(self.number).name}; what is finished stays."


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """As a shell has it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)


def ending_signals() -> list[signal.Signals]:
    """SIGTERM and SIGHUP, without those that are ignored, as SIGHUP is under nohup. Only the main thread has any."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [signal.SIGTERM] + ([signal.SIGHUP] if os.name == "posix" else [])
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None], numbers: list[signal.Signals]) -> Iterator[None]:
    """Has `handler` called for signals, and restores what was there before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Stopped where the process is, as Ctrl-C raises KeyboardInterrupt."""
    last_s = -_ONCE_S

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal last_s
        before_s, last_s = last_s, time.monotonic()
        if last_s - before_s >= _ONCE_S:  # a scheduler repeats its signal while we clean up
            raise Stopped(number)

    with handled(stop, ending_signals()):
        yield

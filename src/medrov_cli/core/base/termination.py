"""Interruption by SIGTERM and Ctrl-C: the program ends at any moment, with the exit code of the signal.

An exception that a signal raises can be lost: Python ignores exceptions of destructors and callbacks, and
some libraries catch all. The program would go on. A thread therefore raises it again until it arrives, and
ends the process if the clean-up does not end.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from types import FrameType

from medrov_cli.core.base.errors import ExitCode

LIMIT_S = 20.0
"""Time for the clean-up; then the process ends at once. Files that were written are complete at any time."""

_STEP_S = 0.2
_LOST_STEPS = 3
"""Successive steps without the exception in the main thread after which it counts as lost."""


class Termination:
    """Handler of SIGTERM and SIGINT that raises ``KeyboardInterrupt`` in the main thread.

    Python runs handlers in the main thread. Threads that read or write are therefore stopped and joined by
    the same code after both signals. Further SIGTERMs are ignored while the program cleans up. A forked child
    ends as without the handler.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._is_terminated = False
        self._is_raised_again = False
        self._is_over = False
        self._process = os.getpid()

    def install(self) -> None:
        """Handle both signals from now on, unless they are ignored, or Ctrl-C has a handler of the caller."""
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, self._handle)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)

    def uninstall(self) -> None:
        """End the process at once on a first signal, because all output is complete."""
        self._is_over = True
        for number in (signal.SIGTERM, signal.SIGINT):
            if self._first is None and signal.getsignal(number) == self._handle:
                signal.signal(number, signal.SIG_DFL)

    def exit_code(self, code: int) -> int:
        """Return the exit code of the process; after a signal, that of the interruption."""
        if self._first is None:
            return code
        return ExitCode.TERMINATED if self._is_terminated else ExitCode.INTERRUPTED

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            if number == signal.SIGINT:
                signal.default_int_handler(number, frame)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._is_terminated |= number == signal.SIGTERM
        if self._first is None:
            self._first = number
            # Not threading.Thread: its locks may be held by the interrupted code.
            _thread.start_new_thread(self._watch, (number,))
        elif number == signal.SIGTERM and not self._is_raised_again:
            return
        self._is_raised_again = False
        if not self._is_over:
            raise KeyboardInterrupt

    def _watch(self, number: int) -> None:
        """Raise a lost exception again; end the process after the limit."""
        main = threading.main_thread().ident
        end, lost = time.monotonic() + LIMIT_S, 0
        while time.monotonic() < end:
            time.sleep(_STEP_S)
            lost = 0 if self._is_over or _is_interrupted(main) else lost + 1
            if lost >= _LOST_STEPS and main is not None:
                lost, self._is_raised_again = 0, True
                if sys.platform == "win32":
                    _thread.interrupt_main(number)
                else:
                    signal.pthread_kill(main, number)  # also ends a blocking call of that thread
        os._exit(self.exit_code(ExitCode.INTERRUPTED))


def is_caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether an exception is ``KeyboardInterrupt``, or was raised while one was handled."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_interrupted(thread: int | None) -> bool:
    """Return whether a thread is handling the exception: it is in ``except``, ``finally`` or ``__exit__``."""
    current = sys._current_exceptions().get(thread or 0)  # noqa: SLF001 - no other way to see it
    error = current[1] if isinstance(current, tuple) else current  # a tuple up to Python 3.11
    return isinstance(error, BaseException) and is_caused_by_interrupt(error)

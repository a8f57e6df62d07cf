"""Work side by side: in order, bounded, and without a gap after a failure."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from medrov_cli.core.base import ordered
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.ordered import OrderedReader, OrderedWriter


def letters(word: str) -> Iterator[str]:
    for letter in word:
        if letter == "!":
            raise MedrovError(ErrorCode.TRUNCATED, "It ends early.")
        if letter == "?":
            raise MedrovError(ErrorCode.USAGE, "Not an input's fault.")
        if letter == "#":
            raise ZeroDivisionError
        yield letter


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_items_come_in_order_whatever_the_number_of_threads(threads: int) -> None:
    words = ["", "abcdefgh", "i", "", "jkl", *"mnopqrstuvwxyz"]
    with OrderedReader(words, letters, threads) as reader:
        found = list(reader)
    assert found == [(number, letter) for number, word in enumerate(words) for letter in word]
    assert "".join(str(letter) for _, letter in found) == "abcdefghijklmnopqrstuvwxyz"


def test_a_later_source_may_be_read_before_an_earlier_one_is_done() -> None:
    second_was_read = threading.Event()

    def read(number: int) -> Iterator[int]:
        if number == 1:
            second_was_read.set()
        else:
            assert second_was_read.wait(30)
        yield number

    with OrderedReader([0, 1], read, threads=2) as reader:
        assert list(reader) == [(0, 0), (1, 1)]


def test_a_source_with_many_items_is_not_read_far_ahead() -> None:
    made = []

    def read(source: int) -> Iterator[int]:
        for item in range(10_000):
            made.append(item)
            yield item

    with OrderedReader(range(1_000), read, threads=2) as reader:
        items = iter(reader)
        for _ in range(100):
            next(items)
        # Of the open source 100 are used and up to four on their way; the other two have as many.
        assert len(made) <= 100 + 3 * 4


def test_an_input_error_ends_its_source_only() -> None:
    with OrderedReader(["ab", "c!d", "e"], letters, threads=2) as reader:
        found = list(reader)
    assert [number for number, _ in found] == [0, 0, 1, 1, 2]
    error = found[3][1]
    assert isinstance(error, MedrovError)
    assert error.code is ErrorCode.TRUNCATED


@pytest.mark.parametrize(("sign", "expected"), [("?", MedrovError), ("#", ZeroDivisionError)])
def test_any_other_error_is_raised(sign: str, expected: type[Exception]) -> None:
    with pytest.raises(expected), OrderedReader(["ab", sign, *"cdefg"], letters, threads=2) as reader:
        list(reader)


def test_reading_stops_when_it_is_left() -> None:
    before = threading.active_count()
    with OrderedReader(["abcdefgh"] * 50, letters, threads=3) as reader:
        next(iter(reader))
    assert threading.active_count() == before


def interrupt_at(step: int) -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that raises ``KeyboardInterrupt`` at a line of the reader in this thread."""
    seen = itertools.count()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != ordered.__file__ or frame.f_code.co_name == "__exit__":
            return None
        if event == "line" and next(seen) == step:
            raise KeyboardInterrupt
        return trace

    return trace


def read_interrupted_at(step: int) -> bool:
    """Read sources with an interruption at a step; return whether there was one."""

    def endless(source: int) -> Iterator[int]:
        return itertools.count(source) if source == 2 else iter(range(3))

    sys.settrace(interrupt_at(step))
    try:
        with OrderedReader(range(6), endless, threads=2) as reader:
            for _, item in reader:
                if item == 6:
                    break
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.slow
def test_an_interruption_at_any_line_ends_the_reader() -> None:
    before = threading.active_count()
    steps = itertools.takewhile(read_interrupted_at, itertools.count())
    worker = threading.Thread(target=lambda: [*steps, counted.append(True)], daemon=True)
    counted: list[bool] = []
    worker.start()
    worker.join(60)
    assert counted, "the reader waits for ever"
    assert threading.active_count() == before


def test_tasks_run_in_order() -> None:
    done: list[int] = []
    with OrderedWriter(waiting=2) as writer:
        for number in range(50):
            writer.submit(lambda number=number: done.append(number))
    assert done == list(range(50))


def test_no_task_runs_after_one_that_failed() -> None:
    done: list[int] = []
    gate = threading.Event()

    def fail() -> None:
        gate.wait(30)
        raise ZeroDivisionError

    def work() -> None:
        with OrderedWriter(waiting=5) as writer:
            writer.submit(lambda: done.append(1))
            writer.submit(fail)
            writer.submit(lambda: done.append(2))
            writer.submit(lambda: done.append(3))
            gate.set()

    with pytest.raises(ZeroDivisionError):
        work()
    assert done == [1]


def test_only_so_many_tasks_wait() -> None:
    gate = threading.Event()
    done: list[int] = []
    submitted = threading.Event()

    def produce() -> None:
        with OrderedWriter(waiting=2) as writer:
            writer.submit(lambda: done.append(int(gate.wait(30))))
            writer.submit(lambda: None)
            submitted.set()
            writer.submit(lambda: None)
            done.append(2)

    thread = threading.Thread(target=produce)
    thread.start()
    assert submitted.wait(30)
    assert done == []  # the third submission is waiting for the first task
    gate.set()
    thread.join(30)
    assert done == [1, 2]

import signal
import sys
import threading
from contextlib import closing

import pytest

from src.aesthetic.mlp.side_by_side import Stopped, side_by_side


def test_ctrl_c_waits_until_a_result_has_been_handled():
    handled, before = [], signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(KeyboardInterrupt),
        closing(side_by_side(lambda item, stop: item * 10, range(100), workers=2)) as results,
    ):
        for result in results:
            if len(handled) == 3:
                signal.raise_signal(signal.SIGINT)
            handled.append(result)
    assert 4 <= len(handled) < 10
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_stops_the_work_that_is_running():
    def work(item, stop):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if stop.wait(60):
            raise Stopped

    with pytest.raises(KeyboardInterrupt), closing(side_by_side(work, [0], workers=1)) as results:
        list(results)


def test_work_is_taken_as_workers_are_free_and_stops_when_it_is_closed():
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    def work(number, stop):
        if number > 1:
            stop.wait(20)
        return number

    runs = side_by_side(work, items(), 2)
    assert {next(runs), next(runs)} == {0, 1}
    runs.close()
    assert len(taken) <= 4
    assert list(side_by_side(work, [], 2)) == []

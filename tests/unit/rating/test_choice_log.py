"""The append-only choice log: durable, exclusive, honest about what is wrong."""

import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from src.errors import DataError
from src.rating.storage.choice_log import NAME, ChoiceLog
from src.rating.storage.choice_rows import Event, Start

ROOT = Path(__file__).parents[3]
FIRST = Event("a.png", "b.png", "left", "audit", 0.75, 1.5)
SECOND = Event("ü/c.png", "d.png", "tie", "active")


@pytest.fixture
def log(tmp_path):
    """An open log with one choice."""
    opened = ChoiceLog(tmp_path)
    opened.append(FIRST)
    yield opened
    opened.close()


def rows(folder, query):
    with closing(sqlite3.connect(folder / NAME)) as connection:
        return connection.execute(query).fetchall()


def test_events_come_back_as_they_were(tmp_path, log):
    log.append(SECOND)
    log.close()
    with closing(ChoiceLog(tmp_path)) as again:
        events = again.events
        assert again.session == 2
    assert [event._replace(id=0, session=0) for event in events] == [FIRST, SECOND]
    assert [event.session for event in events] == [1, 1]


def test_an_undo_is_a_row_of_its_own(tmp_path, log):
    log.append(SECOND)
    log.take_back()
    assert [event.outcome for event in log.events] == ["left"]
    log.close()
    written = rows(tmp_path, "SELECT outcome, undoes FROM events ORDER BY id")
    assert written == [("left", None), ("tie", None), ("undo", 2)]


@pytest.mark.parametrize("statement", ["DELETE FROM events", "UPDATE events SET outcome = 'tie'"])
def test_rows_can_neither_be_changed_nor_deleted(tmp_path, log, statement):
    log.close()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        rows(tmp_path, statement)


def test_a_later_start_of_an_image_counts(log):
    log.add_starts([Start("a.png", 1.0, "file"), Start("b.png", 2.0, "model")])
    log.add_starts([Start("b.png", 3.0, "model")])
    assert list(log.starts.values()) == [
        Start("a.png", 1.0, "file"),
        Start("b.png", 3.0, "model"),
    ]


def test_starts_are_written_all_or_none(log):
    with pytest.raises(DataError):
        log.add_starts([Start("a.png", 1.0, "file"), Start("b.png", float("nan"), "file")])
    assert log.starts == {}
    log.append(SECOND)  # and the log goes on


def test_the_state_is_kept_by_name(log):
    log.set_state(sha256="a", other="b")
    log.set_state(sha256="c")
    assert log.state == {"sha256": "c", "other": "b"}


def test_a_second_window_is_refused_and_the_next_is_not(tmp_path, log):
    with pytest.raises(DataError, match="another rating window"):
        ChoiceLog(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from src.rating.storage.choice_log import ChoiceLog\n"
        "ChoiceLog(Path(sys.argv[1]))"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another rating window" in done.stderr
    log.append(FIRST)  # still the owner
    log.close()
    ChoiceLog(tmp_path).close()


def test_every_commit_waits_for_the_disk(tmp_path, log):
    assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not (tmp_path / f"{NAME}-shm").exists()  # network folders cannot share memory
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_full_disk_loses_nothing(log):
    (pages,) = log._connection.execute("PRAGMA page_count").fetchone()
    log._connection.execute(f"PRAGMA max_page_count = {pages}")
    long = Event("x" * 100_000, "b.png", "left", "audit")
    with pytest.raises(DataError, match="disk is full"):
        log.append(long)
    assert len(log.events) == 1
    log._connection.execute("PRAGMA max_page_count = 100000")
    log.append(long)
    assert len(log.events) == 2


def filled(folder, count=60):
    """A log of many choices; returns its file."""
    with closing(ChoiceLog(folder)) as log:
        log.add_starts([Start("old.png", 0.5, "file")])
        for number in range(count):
            log.append(Event(f"{number}.png", f"{number}{'x' * 200}.png", "left", "active", 0.25))
        log.set_state(last_event=str(count), old_evaluations="7")
    return folder / NAME


def change(file, statement):
    """Change rows behind the program's back."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for trigger in ("events_kept", "events_unchanged"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(statement)


def flip(file):
    """Change an answer in the bytes of the file."""
    content = file.read_bytes()
    at = content.index(b"left", content.index(b"30.png") - 4)
    file.write_bytes(content[:at] + b"lefs" + content[at + 4 :])


DAMAGE = {
    "a page less": lambda file: file.write_bytes(file.read_bytes()[:-4096]),
    "cut off inside a page": lambda file: file.write_bytes(file.read_bytes()[:-1000]),
    "another byte": flip,
    "another answer": lambda file: change(file, "UPDATE events SET outcome='right' WHERE id=9"),
    "a row less": lambda file: change(file, "DELETE FROM events WHERE id = 9"),
    "the last row less": lambda file: change(file, "DELETE FROM events WHERE id = 60"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_log_is_set_aside_and_what_is_whole_is_kept(tmp_path, damage):
    file = filled(tmp_path)
    DAMAGE[damage](file)
    damaged = file.read_bytes()
    with closing(ChoiceLog(tmp_path)) as log:
        (notice,) = log.notices
        kept = [int(event.left.removesuffix(".png")) for event in log.events]
        assert kept == sorted(kept)
        assert 20 < len(kept) < 60
        assert f"{len(kept)} of its 60 choices are intact and kept" in notice
        assert {event.outcome for event in log.events} == {"left"}
        assert log.starts == {"old.png": Start("old.png", 0.5, "file")}
        assert log.state["old_evaluations"] == "7"
        log.append(FIRST)
    (copy,) = tmp_path.glob(f"{NAME}.damaged-*")
    assert copy.read_bytes() == damaged
    with closing(ChoiceLog(tmp_path)) as again:
        assert again.notices == []
        assert len(again.events) == len(kept) + 1


def test_no_cut_and_no_changed_bit_is_silent(tmp_path):
    """Of a log that was closed, and of one as it lies there after a kill."""
    closed, killed, damaged = (tmp_path / name for name in ("closed", "killed", "damaged"))
    for folder in (closed, killed):
        folder.mkdir()
    filled(closed)
    open_still = ChoiceLog(closed)
    for _ in range(20):
        open_still.append(SECOND)
    for file in closed.iterdir():
        shutil.copy(file, killed)
    before = open_still.events
    open_still.close()
    chance, told = random.Random(0), Counter()
    for number in range(150):
        shutil.copytree((closed, killed)[number % 2], damaged)
        file = chance.choice(sorted(damaged.iterdir()))
        content = bytearray(file.read_bytes())
        at = min(chance.choice([chance.randrange(len(content)), 4096 * chance.randrange(20)]),
                 chance.randrange(len(content)))  # fmt: skip
        content[at] ^= 1 << chance.randrange(8)
        file.write_bytes(content[:at] if number % 3 == 0 else content)
        try:
            with closing(ChoiceLog(damaged)) as log:
                if log.notices:
                    told["lost"] += 1
                    assert f"{len(log.events)} of its 80 choices are intact" in log.notices[0]
                    assert {event[:6] for event in log.events} <= {event[:6] for event in before}
                else:
                    told["whole"] += 1
                    assert log.events == before
        except DataError as error:
            told["refused"] += 1
            assert "\n" not in str(error)
        shutil.rmtree(damaged)
    assert min(told.values()) > 5


def test_a_lost_choice_takes_the_undo_of_it_along(tmp_path, log):
    log.append(SECOND)
    log.take_back()
    log.append(FIRST)
    log.close()
    change(tmp_path / NAME, "DELETE FROM events WHERE id = 2")
    with closing(ChoiceLog(tmp_path)) as again:
        assert [event[:3] for event in again.events] == [FIRST[:3], FIRST[:3]]


def test_a_log_of_the_version_before_checksums_is_read_and_gone_on_with(tmp_path):
    filled(tmp_path, count=3)
    for table in ("events", "starts", "state"):
        rows(tmp_path, f"ALTER TABLE {table} DROP COLUMN checksum")
    with closing(ChoiceLog(tmp_path)) as log:
        log.append(FIRST)
    with closing(ChoiceLog(tmp_path)) as again:
        assert again.notices == []
        assert len(again.events) == 4
    checksums = rows(tmp_path, "SELECT checksum IS NULL FROM events ORDER BY id")
    assert checksums == [(1,), (1,), (1,), (0,)]


EVENT = (
    "INSERT INTO events VALUES ({}, '', {}, {}, 'b.png', 'left', {}, 'active', {}"
    + 3 * ", NULL"
    + ")"
)
ABSURD = {
    "number": EVENT.format(-5, 1, "'a'", 1, 0.5),
    "session": EVENT.format(4, 2**63 - 1, "'a'", 1, 0.5),
    "half a character": EVENT.format(4, 1, "CAST(x'eda080' AS TEXT)", 1, 0.5),
    "probability": EVENT.format(4, 1, "'a'", 1, 1e308),
    "score": "INSERT INTO starts VALUES (2, '', 'a.png', 1e308, 'file', NULL)",
    "endless score": "INSERT INTO starts VALUES (2, '', 'a.png', 9e999, 'file', NULL)",
}


@pytest.mark.parametrize("absurd", ABSURD)
def test_rows_of_absurd_values_are_told_in_a_line_and_left_out(tmp_path, absurd):
    change(filled(tmp_path, count=3), ABSURD[absurd])
    with closing(ChoiceLog(tmp_path)) as log:
        (notice,) = log.notices
        assert "3 of its 3 choices are intact and kept" in notice and "\n" not in notice
        assert len(log.events) == 3 and [*log.starts] == ["old.png"]
        log.append(FIRST)


def test_a_damaged_log_is_named_and_left_alone(tmp_path):
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="damaged"):
        ChoiceLog(tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"no database" * 100


def test_a_log_of_a_newer_program_is_refused(tmp_path):
    rows(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(DataError, match="newer version"):
        ChoiceLog(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        ChoiceLog(tmp_path)


FOUR = Event(
    "a.png", "ü/b.png", "3/1", "active", None, 2.5,
    others=("c.png", "d.png"), predictions=(0.1, 0.2, 0.3, 0.4),
)  # fmt: skip


def test_a_choice_among_four_is_one_row_that_comes_back_as_it_was(tmp_path, log):
    log.append(FOUR)
    log.append(FOUR._replace(outcome="tie"))
    log.take_back()
    log.close()
    with closing(ChoiceLog(tmp_path)) as again:
        assert [event._replace(id=0, session=0) for event in again.events] == [FIRST, FOUR]
        assert again.events[1].images == ("a.png", "ü/b.png", "c.png", "d.png")
    change(tmp_path / NAME, """UPDATE events SET more = replace(more, 'c.png', 'e.png')""")
    with closing(ChoiceLog(tmp_path)) as again:
        assert "2 of its 4 choices are intact" in again.notices[0]


def test_only_a_log_with_choices_among_four_is_closed_to_earlier_programs(tmp_path, log):
    def version():
        return rows(tmp_path, "PRAGMA user_version")

    log.append(SECOND)
    log.close()
    assert version() == [(1,)]
    with closing(ChoiceLog(tmp_path)) as again:
        again.append(FOUR)
    assert version() == [(2,)]
    change(tmp_path / NAME, "DELETE FROM events WHERE id = 1")
    with closing(ChoiceLog(tmp_path)) as restored:
        assert restored.notices and len(restored.events) == 2
    assert version() == [(2,)]


def test_a_log_without_the_column_for_four_is_read_and_gone_on_with(tmp_path):
    filled(tmp_path, count=3)
    rows(tmp_path, "ALTER TABLE events DROP COLUMN more")
    with closing(ChoiceLog(tmp_path)) as log:
        assert log.notices == []
        log.append(FOUR)
    with closing(ChoiceLog(tmp_path)) as again:
        assert again.notices == [] and again.events[-1].others == FOUR.others

"""The file broker: what is put is taken once and whole, also while others put."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError
from kombu.simple import SimpleQueue

import aiops.celery  # noqa: F401  (makes filesystem:// ours)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def name() -> str:
    """Of a queue: kombu remembers for the whole process which it has bound."""
    return f"nudges-{uuid.uuid4()}"


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    with connect(folder) as made:
        yield made


def connect(folder: Path) -> Connection:
    messages = str(folder / "messages")
    options = {"data_folder_in": messages, "data_folder_out": messages, "control_folder": str(folder / "control")}
    return Connection("filesystem://", transport_options=options)


def take(queue: SimpleQueue) -> int:
    message = queue.get(block=True, timeout=60)
    message.ack()
    number: int = message.payload
    return number


class TestQueue:
    def test_gives_messages_in_order_and_leaves_nothing_behind(self, connection, folder, name):
        queue = connection.SimpleQueue(name)
        for number in range(3):
            queue.put(number)

        assert [take(queue) for _ in range(3)] == [0, 1, 2]
        assert list((folder / "messages").iterdir()) == []

    def test_gives_only_whole_messages_while_others_write(self, connection, folder, name):
        def write(first: int) -> None:
            with connect(folder) as mine:
                queue = mine.SimpleQueue(name)
                for number in range(first, first + 200):
                    queue.put(number)

        writers = [threading.Thread(target=write, args=(first,)) for first in (0, 200)]
        queue = connection.SimpleQueue(name)
        for writer in writers:
            writer.start()
        taken = {take(queue) for _ in range(400)}
        for writer in writers:
            writer.join()

        assert taken == set(range(400))

    def test_says_so_when_the_folder_cannot_be_written(self, connection, folder, name):
        queue = connection.SimpleQueue(name)
        (folder / "messages").rmdir()
        (folder / "messages").touch()

        with pytest.raises(ChannelError):
            queue.put(1)

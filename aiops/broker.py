"""The broker of the embedded mode: kombu's filesystem transport, with files that appear whole.

Kombu's own writes a message into a file that consumers can see already; one that looks at that moment reads half of it, and the
worker ends.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME = "filesystem"


class Channel(filesystem.Channel):
    # kombu's base classes disagree about the name of the second argument
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time_ns():020d}_{uuid.uuid4()}.{queue}.msg"  # consumers take them in the order of names
        try:
            with _whole(Path(self.data_folder_out), dumps(payload)) as written:
                written.replace(Path(self.data_folder_out) / name)
        except OSError as error:
            raise ChannelError(f"The message {name} cannot be written") from error

    def _queue_bind(self, exchange: str, routing_key: Any, pattern: Any, queue: Any) -> None:
        table = Path(self.control_folder) / f"{exchange}.exchange"
        try:
            if not table.exists():
                # a link does not replace what another process has bound meanwhile
                with _whole(table.parent, dumps([])) as written, contextlib.suppress(FileExistsError):
                    os.link(written, table)
        except OSError as error:
            raise ChannelError(f"The table {table} cannot be written") from error
        super()._queue_bind(exchange, routing_key, pattern, queue)


@contextlib.contextmanager
def _whole(folder: Path, text: str) -> Iterator[Path]:
    """A finished file in `folder` under a name that means nothing to a consumer; removed if it still has it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f".{uuid.uuid4()}.part"
    try:
        file.write_text(text, encoding="utf-8")
        yield file
    finally:
        file.unlink(missing_ok=True)


class Transport(filesystem.Transport):
    Channel = Channel


def install() -> None:
    """Make `filesystem://` mean this transport."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:{Transport.__name__}"

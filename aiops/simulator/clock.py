"""Cluster time. Delays are written in the seconds of a real cluster and pass `speed` times faster; time stamps are real."""

import asyncio
from collections.abc import Callable
from typing import Any


class Clock:
    def __init__(self, speed: float) -> None:
        if not 0.01 <= speed <= 10_000:
            raise ValueError("speed must be between 0.01 and 10000")
        self.speed = speed

    def now(self) -> float:
        """Cluster seconds since an arbitrary start, never going backwards."""
        return asyncio.get_running_loop().time() * self.speed

    def after(self, seconds: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call later, after so many cluster seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds) / self.speed, call, *args)

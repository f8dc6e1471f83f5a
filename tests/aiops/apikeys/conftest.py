from tests.aiops.api.conftest import _fresh_process

__all__ = ["_fresh_process"]

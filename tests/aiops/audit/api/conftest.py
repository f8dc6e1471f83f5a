from tests.incidents.api.conftest import Api, _fresh_process, _soon_after_noon, api_of, nobody, operator, viewer

__all__ = ["Api", "_fresh_process", "_soon_after_noon", "api_of", "nobody", "operator", "viewer"]

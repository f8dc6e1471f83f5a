from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from aiops.apikeys.models import ApiKey
from aiops.apikeys.services import digest_of


class KeyAuthentication(BaseAuthentication):
    """A key is looked up by a query, as DRF's TokenAuthentication does."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey]:
        try:
            key = ApiKey.objects.get(digest=digest_of(request.headers.get("X-Api-Key", "")), revoked_at=None)
        except ApiKey.DoesNotExist:
            raise AuthenticationFailed("Invalid key") from None
        return User(username=key.owner), key

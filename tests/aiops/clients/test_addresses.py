import pytest

from aiops.clients import addresses
from aiops.clients.addresses import AddressRefused
from aiops.clients.errors import ClientUnavailable


@pytest.fixture
def public_only(settings):
    settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = False


class TestRefusal:
    @pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
    def test_lets_public_addresses_pass(self, public_only, address):
        assert addresses.refusal(address) == ""

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ],
    )
    def test_refuses_private_ones(self, public_only, address):
        assert "loopback or private" in addresses.refusal(address)

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"])
    def test_lets_private_ones_pass_where_allowed(self, settings, address):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = True

        assert addresses.refusal(address) == ""

    @pytest.mark.parametrize(
        "address",
        [
            "169.254.169.254",
            "fe80::1%eth0",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "168.63.129.16",
            "0.0.0.0",
            "224.0.0.1",
        ],
    )
    def test_never_lets_metadata_and_the_like_pass(self, settings, address):
        settings.AIOPS_ALLOW_PRIVATE_ADDRESSES = True

        assert addresses.refusal(address)

    def test_refuses_what_is_no_address(self):
        assert "no IP address" in addresses.refusal("example")


class TestCheckUrl:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1", "file:///etc/passwd", "https://", "https://user:secret@127.0.0.1", "https://[::1"]
    )
    def test_refuses_the_form(self, url):
        with pytest.raises(AddressRefused) as refused:
            addresses.check_url(url)
        assert "secret" not in refused.value.message

    def test_looks_behind_the_name(self, public_only):
        with pytest.raises(AddressRefused, match="localhost is refused"):
            addresses.check_url("https://localhost:6443")

    @pytest.mark.parametrize("url", ["https://2130706433", "https://0x7f.1"])
    def test_sees_through_other_spellings_of_an_address(self, public_only, url):
        with pytest.raises(AddressRefused, match="loopback"):
            addresses.check_url(url)

    def test_says_when_a_name_does_not_resolve(self):
        with pytest.raises(ClientUnavailable) as unavailable:
            addresses.check_url("https://cluster.invalid")
        assert unavailable.value.reason == "dns"

"""An authority, and certificates that it signs, for HTTPS servers in tests."""

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Pair:
    certificate: str
    key: str
    private_key: ec.EllipticCurvePrivateKey

    @property
    def certificate_data(self) -> str:
        return base64.b64encode(self.certificate.encode()).decode()

    @property
    def key_data(self) -> str:
        return base64.b64encode(self.key.encode()).decode()


def make_authority(name: str = "authority") -> Pair:
    return _make(name, None)


def make_certificate(name: str, authority: Pair) -> Pair:
    return _make(name, authority)


def _make(name: str, authority: Pair | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode()).subject if authority else _subject(name)
    # TLS is checked against the machine's clock, the one place where a test cannot choose the time
    now = datetime.now(UTC)
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(authority.private_key if authority else key, hashes.SHA256())
    )
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private_key=key,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

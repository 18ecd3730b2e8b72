"""Attack: someone between us and the platform. Certificates are verified, always, and there is no switch."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from talent_image_pipeline.pictures.download.downloader import DownloadedPicture, PictureRefused, PictureUnavailable
from talent_image_pipeline_tests.pictures.loopback import BODY, LoopbackServer, Victim, answer, fetch, redirect

DAY = timedelta(days=1)


class CertificateAuthority:
    """Signs certificates for servers on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority for tests")])
        unsigned = self._unsigned(self._name, self._key.public_key(), valid_until=datetime.now(UTC) + DAY)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = unsigned.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_side(
        self, *names: str, valid_until: datetime | None = None, is_self_signed: bool = False
    ) -> ssl.SSLContext:
        """Make what a server with a certificate for these names needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        issuer, signer = (subject, key) if is_self_signed else (self._name, self._key)
        unsigned = self._unsigned(subject, key.public_key(), issuer=issuer, valid_until=valid_until)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = unsigned.add_extension(alternatives, critical=False).sign(signer, hashes.SHA256())
        pem = self._folder / "server.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def _unsigned(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        issuer: x509.Name | None = None,
        valid_until: datetime | None = None,
    ) -> x509.CertificateBuilder:
        until = valid_until or datetime.now(UTC) + DAY
        builder = x509.CertificateBuilder(issuer_name=issuer or subject, subject_name=subject, public_key=key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(until - 30 * DAY).not_valid_after(until)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateAuthority:
    """An authority that the operator added in the standard way, beside nothing that turns verification off."""
    authority = CertificateAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    return authority


def fetch_over_tls(server: LoopbackServer, *, host: str = "localhost") -> object:
    origin = f"https://{host}:{server.port}"
    return fetch(f"{origin}/a.jpg", trusted=[origin])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_valid_certificate_is_accepted(authority: CertificateAuthority, host: str) -> None:
    with LoopbackServer(answer(), tls=authority.server_side(host)) as cdn:
        picture = fetch_over_tls(cdn, host=host)
    assert isinstance(picture, DownloadedPicture)
    assert picture.body == BODY


def test_a_self_signed_certificate_is_refused_even_at_a_trusted_origin(authority: CertificateAuthority) -> None:
    with (
        LoopbackServer(answer(), tls=authority.server_side("localhost", is_self_signed=True)) as cdn,
        pytest.raises(PictureRefused, match="localhost has no valid certificate"),
    ):
        fetch_over_tls(cdn)
    assert cdn.requests == []


def test_a_certificate_of_an_authority_that_nobody_added_is_refused(tmp_path: Path) -> None:
    with (
        LoopbackServer(answer(), tls=CertificateAuthority(tmp_path).server_side("localhost")) as cdn,
        pytest.raises(PictureRefused),
    ):
        fetch_over_tls(cdn)
    assert cdn.requests == []


@pytest.mark.parametrize("names", [["evil.example"], ["localhost.evil.example", "*.localhost"], ["127.0.0.1"]])
def test_a_certificate_for_another_name_is_refused(authority: CertificateAuthority, names: list[str]) -> None:
    with LoopbackServer(answer(), tls=authority.server_side(*names)) as cdn, pytest.raises(PictureRefused):
        fetch_over_tls(cdn)
    assert cdn.requests == []


def test_a_certificate_past_its_end_is_refused(authority: CertificateAuthority) -> None:
    past = authority.server_side("localhost", valid_until=datetime.now(UTC) - DAY)
    with LoopbackServer(answer(), tls=past) as cdn, pytest.raises(PictureRefused):
        fetch_over_tls(cdn)
    assert cdn.requests == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PYTHONHTTPSVERIFY", "0"), ("SSL_VERIFY", "false"), ("CURL_CA_BUNDLE", ""), ("REQUESTS_CA_BUNDLE", "")],
)
def test_no_variable_turns_verification_off(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with (
        LoopbackServer(answer(), tls=authority.server_side("localhost", is_self_signed=True)) as cdn,
        pytest.raises(PictureRefused),
    ):
        fetch_over_tls(cdn)


def test_a_redirect_from_tls_to_plain_http_is_refused(authority: CertificateAuthority) -> None:
    with Victim() as victim:
        down = redirect(f"http://localhost:{victim.port}/a.jpg")
        with LoopbackServer(down, tls=authority.server_side("localhost")) as cdn, pytest.raises(PictureRefused):
            fetch_over_tls(cdn)
        assert not victim.was_reached


def test_an_outdated_tls_version_is_not_spoken(authority: CertificateAuthority) -> None:
    outdated = authority.server_side("localhost")
    with pytest.warns(DeprecationWarning, match="TLS"):
        outdated.maximum_version = ssl.TLSVersion.TLSv1_1
    with LoopbackServer(answer(), tls=outdated) as cdn, pytest.raises(PictureUnavailable):
        fetch_over_tls(cdn)
    assert cdn.requests == []

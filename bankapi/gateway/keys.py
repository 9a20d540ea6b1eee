"""Keys and certificates from PEM files (RFC 7468)."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bankapi.wsse.signing import SigningIdentity
from bankapi.wsse.trust import TrustAnchors


def load_certificate(file: Path) -> x509.Certificate:
    """The first certificate of a PEM file."""
    return x509.load_pem_x509_certificate(file.read_bytes())


def load_trust(file: Path) -> TrustAnchors:
    """Every CA certificate of a PEM file, as what signatures are trusted by."""
    return TrustAnchors(x509.load_pem_x509_certificates(file.read_bytes()))


def load_identity(certificate_file: Path, key_file: Path) -> SigningIdentity:
    """A certificate with its key; ValueError when they do not belong together or the key's kind cannot sign."""
    certificate = load_certificate(certificate_file)
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file}: neither an RSA nor an elliptic-curve key")
    if key.public_key() != certificate.public_key():
        raise ValueError(f"{key_file} is not the key of {certificate_file}")
    return SigningIdentity(certificate, key)

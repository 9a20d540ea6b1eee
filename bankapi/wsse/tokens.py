"""From ds:KeyInfo to a certificate (WSS X.509 Token Profile 1.0 section 3, BSP 1.1 section 5 and 6)."""

from cryptography import x509
from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.frame import SecurityFrame, base64_value, element_id
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.trust import CertificateReference, CertificateReferenceKind, FindCertificate

_TOKEN_ATTRIBUTES = frozenset({"EncodingType", "ValueType", names.WSU_ID, "Id"})
_SERIAL_BITS_MAX = 160
"""RFC 5280 section 4.1.2.2: up to 20 octets."""


def signing_certificate(
    frame: SecurityFrame, profile: SecurityProfile, find_certificate: FindCertificate
) -> x509.Certificate:
    """The certificate the message says it was signed with. Nothing about it is trusted yet."""
    reference = frame.token_reference
    if reference.tag == names.TOKEN_REFERENCE:
        return _carried(frame, profile)
    if frame.token is not None:
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE, "a token that the signature does not use")
    named = _named(reference)
    certificate = find_certificate(named)
    if certificate is None or not named.names(certificate):
        raise Refusal(Rule.WSSE_TOKEN_UNKNOWN)
    return certificate


def _carried(frame: SecurityFrame, profile: SecurityProfile) -> x509.Certificate:
    """A direct reference to the BinarySecurityToken (BSP R3059, R3062: URI and ValueType)."""
    reference, token = frame.token_reference, frame.token
    if token is None or reference.get("ValueType") != names.X509_V3 or len(reference):
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    token_id = element_id(token)
    if token_id is None or reference.get("URI") != f"#{token_id}":
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    # BSP R3029 to R3032: both types are written, and only these.
    if token.get("ValueType") != names.X509_V3 or token.get("EncodingType") != names.BASE64_BINARY:
        raise Refusal(Rule.WSSE_TOKEN_FORM)
    if not _TOKEN_ATTRIBUTES.issuperset(token.keys()):
        raise Refusal(Rule.WSSE_TOKEN_FORM)
    der = base64_value(token, Rule.WSSE_TOKEN_FORM, bytes_max=profile.token_bytes_max)
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as error:  # hostile DER: the parser's exceptions are not one family
        raise Refusal(Rule.WSSE_TOKEN_FORM, "not a certificate") from error


def _named(reference: etree._Element) -> CertificateReference:
    if reference.tag == names.X509_DATA:
        return _issuer_serial(reference)
    if reference.tag != names.KEY_IDENTIFIER or reference.get("EncodingType") != names.BASE64_BINARY:
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    value = base64_value(reference, Rule.WSSE_TOKEN_REFERENCE, bytes_max=64)
    match reference.get("ValueType"):
        case names.X509_SKI:
            return CertificateReference(CertificateReferenceKind.SUBJECT_KEY_IDENTIFIER, value)
        case names.THUMBPRINT_SHA1:
            return CertificateReference(CertificateReferenceKind.THUMBPRINT_SHA1, value)
    raise Refusal(Rule.WSSE_TOKEN_REFERENCE)


def _issuer_serial(x509_data: etree._Element) -> CertificateReference:
    shape = [element.tag for element in x509_data.iter()]
    if shape != [
        names.X509_DATA,
        names.X509_ISSUER_SERIAL,
        names.X509_ISSUER_NAME,
        names.X509_SERIAL_NUMBER,
    ]:
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    issuer_name, serial_number = (element.text or "" for element in x509_data[0])
    serial_number = serial_number.strip()
    if not (serial_number.isascii() and serial_number.isdigit()) or len(serial_number) > 49 or len(issuer_name) > 1024:
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    number = int(serial_number)
    if number.bit_length() > _SERIAL_BITS_MAX:
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    try:
        issuer = x509.Name.from_rfc4514_string(issuer_name.strip())
    except Exception as error:  # names are free text: anything may be wrong with them
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE, "not an RFC 4514 name") from error
    value = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return CertificateReference(CertificateReferenceKind.ISSUER_SERIAL, value, issuer)

"""Namespaces and identifiers, as the standards write them.

- SOAP 1.1: W3C Note, 8 May 2000.
- WSS 1.0 (OASIS 200401): SOAP Message Security and X.509 Token Profile; WSS 1.1 adds the thumbprint.
- XML Signature: W3C Recommendation, and RFC 4051 for the `xmldsig-more` identifiers.
- Exclusive XML Canonicalization 1.0: W3C Recommendation, 18 July 2002.
"""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
EC = "http://www.w3.org/2001/10/xml-exc-c14n#"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XML = "http://www.w3.org/XML/1998/namespace"

# SOAP 1.1 section 4
ENVELOPE = f"{{{SOAP}}}Envelope"
HEADER = f"{{{SOAP}}}Header"
BODY = f"{{{SOAP}}}Body"
FAULT = f"{{{SOAP}}}Fault"
MUST_UNDERSTAND = f"{{{SOAP}}}mustUnderstand"
ACTOR = f"{{{SOAP}}}actor"

# WS-Security 1.0 sections 5, 6, 7 and 10
SECURITY = f"{{{WSSE}}}Security"
BINARY_SECURITY_TOKEN = f"{{{WSSE}}}BinarySecurityToken"
SECURITY_TOKEN_REFERENCE = f"{{{WSSE}}}SecurityTokenReference"
TOKEN_REFERENCE = f"{{{WSSE}}}Reference"
KEY_IDENTIFIER = f"{{{WSSE}}}KeyIdentifier"
TOKEN_TYPE = f"{{{WSSE11}}}TokenType"
TIMESTAMP = f"{{{WSU}}}Timestamp"
CREATED = f"{{{WSU}}}Created"
EXPIRES = f"{{{WSU}}}Expires"
WSU_ID = f"{{{WSU}}}Id"

# XML Signature section 4
SIGNATURE = f"{{{DS}}}Signature"
SIGNED_INFO = f"{{{DS}}}SignedInfo"
SIGNATURE_VALUE = f"{{{DS}}}SignatureValue"
KEY_INFO = f"{{{DS}}}KeyInfo"
CANONICALIZATION_METHOD = f"{{{DS}}}CanonicalizationMethod"
SIGNATURE_METHOD = f"{{{DS}}}SignatureMethod"
REFERENCE = f"{{{DS}}}Reference"
TRANSFORMS = f"{{{DS}}}Transforms"
TRANSFORM = f"{{{DS}}}Transform"
DIGEST_METHOD = f"{{{DS}}}DigestMethod"
DIGEST_VALUE = f"{{{DS}}}DigestValue"
X509_DATA = f"{{{DS}}}X509Data"
X509_ISSUER_SERIAL = f"{{{DS}}}X509IssuerSerial"
X509_ISSUER_NAME = f"{{{DS}}}X509IssuerName"
X509_SERIAL_NUMBER = f"{{{DS}}}X509SerialNumber"
INCLUSIVE_NAMESPACES = f"{{{EC}}}InclusiveNamespaces"

XSI_TYPE = f"{{{XSI}}}type"

# Algorithms
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

# Token value and encoding types
X509_V3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
X509_SKI = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier"
THUMBPRINT_SHA1 = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
BASE64_BINARY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"

"""The cryptography of XML Signature, by signxml, and what was signed rebuilt from the signed bytes.

signxml finds what a Reference covers by searching the whole document for an id, in a copy of the document made for
each Reference. Here it is given the ds:Signature alone, and each target by the position the frame has established:
nothing outside can be found instead, and half the time is saved. Should a later signxml resolve references by
another method, none of them resolves and every message is refused.
"""

from datetime import datetime
from typing import cast

from cryptography import x509
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod
from signxml.verifier import XMLVerifier

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.frame import SecurityFrame, inclusive_prefixes

_xsi_types = etree.XPath("//@xsi:type/..", namespaces={"xsi": names.XSI})


def signed_elements(frame: SecurityFrame, certificate: x509.Certificate, now: datetime) -> tuple[etree._Element, ...]:
    """The signed elements in the order of their references, each parsed from the bytes that were digested."""
    try:
        results = _Verifier(frame).verify(
            frame.signature,
            x509_cert=certificate,
            # The frame is stricter, and signxml's schema refuses every InclusiveNamespaces.
            validate_schema=False,
            parser=_parser(),
            expect_config=SignatureConfiguration(
                require_x509=True,
                expect_references=len(frame.targets),
                signature_methods=frozenset({SignatureMethod(frame.signature_algorithm)}),
                digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
                verification_time=now,
            ),
        )
    except Exception as error:  # signxml's exceptions are not one family
        raise Refusal(Rule.WSSE_SIGNATURE_INVALID, type(error).__name__) from error
    signed = tuple(result.signed_xml for result in results)
    for element, target in zip(signed, frame.targets, strict=True):
        if element is None or element.tag != target.tag:
            raise Refusal(Rule.WSSE_REFERENCE_TARGET, "signxml digested another element than it was given")
        _refuse_unbound_prefix(element)
    return signed


class _Verifier(XMLVerifier):  # type: ignore[misc]
    """signxml's verifier with references resolved by the frame."""

    def __init__(self, frame: SecurityFrame) -> None:
        super().__init__()
        self._targets = frame.targets_by_uri

    def _resolve_reference(
        self, doc_root: etree._Element, reference: etree._Element, uri_resolver: object = None
    ) -> etree._Element:
        return self._targets[reference.get("URI", "")]

    def _get_inclusive_ns_prefixes(self, transform_node: etree._Element) -> list[str] | None:
        """signxml splits at single spaces: in "a b " (IBM WebSphere) it sees an empty prefix, which is #default."""
        return inclusive_prefixes(transform_node) or None


def _refuse_unbound_prefix(signed: etree._Element) -> None:
    """A prefix that occurs only in a value is not covered by exclusive c14n: it could be bound anew unnoticed."""
    for element in cast("list[etree._Element]", _xsi_types(signed)):
        prefix, colon, _ = element.get(names.XSI_TYPE, "").strip().rpartition(":")
        if colon and prefix not in element.nsmap:
            raise Refusal(Rule.WSSE_CANONICALIZATION, "the prefix of an xsi:type is not signed")


def _parser() -> etree.XMLParser:
    """Canonical bytes have no DTD and no entity; a parser of its own, as the library's default may change."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8")

"""The security policy that the WSDL carries (WS-SecurityPolicy 1.2, WS-Policy 1.5; design section 4).

Asymmetric binding over X.509 tokens, sent inside the message both ways; the Timestamp and the Body are signed, and of
an answer the `Exchange` header, too.
Published as text because it is one: nothing in it follows from the models.

`Basic256Sha256` says SHA-256 for digests. For signatures the gateway wants RSA-SHA256 or ECDSA-SHA256, which stacks
that read the suite as RSA-SHA1 (WSS4J, and so CXF) must be told apart from the policy.
"""

from typing import Final

from lxml import etree

from bankapi.contract.types import NAMESPACE

WSP: Final = "http://www.w3.org/ns/ws-policy"
_SP: Final = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
_WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

NAMESPACES: Final = {"wsp": WSP, "sp": _SP, "wsu": _WSU}
BINDING: Final = "BankSigned"
"""The policy of the binding: how messages are signed."""
REQUEST: Final = "BankSignedParts"
"""The policy of every input: what of it is signed."""
ANSWER: Final = "BankAnswerSignedParts"
"""The policy of every output and fault: the header that names the request is signed, too, and a client that obeys the
policy refuses an answer in which it is not."""
MESSAGES: Final = {"input": REQUEST, "output": ANSWER, "fault": ANSWER}

_POLICIES: Final = f"""
<policies xmlns:wsp="{WSP}" xmlns:sp="{_SP}" xmlns:wsu="{_WSU}">
  <wsp:Policy wsu:Id="{BINDING}">
    <wsp:ExactlyOne>
      <wsp:All>
        <sp:AsymmetricBinding>
          <wsp:Policy>
            <sp:InitiatorToken>
              <wsp:Policy>
                <sp:X509Token sp:IncludeToken="{_SP}/IncludeToken/AlwaysToRecipient">
                  <wsp:Policy>
                    <sp:WssX509V3Token10/>
                  </wsp:Policy>
                </sp:X509Token>
              </wsp:Policy>
            </sp:InitiatorToken>
            <sp:RecipientToken>
              <wsp:Policy>
                <sp:X509Token sp:IncludeToken="{_SP}/IncludeToken/AlwaysToInitiator">
                  <wsp:Policy>
                    <sp:WssX509V3Token10/>
                  </wsp:Policy>
                </sp:X509Token>
              </wsp:Policy>
            </sp:RecipientToken>
            <sp:AlgorithmSuite>
              <wsp:Policy>
                <sp:Basic256Sha256/>
              </wsp:Policy>
            </sp:AlgorithmSuite>
            <sp:Layout>
              <wsp:Policy>
                <sp:Lax/>
              </wsp:Policy>
            </sp:Layout>
            <sp:IncludeTimestamp/>
            <sp:OnlySignEntireHeadersAndBody/>
          </wsp:Policy>
        </sp:AsymmetricBinding>
        <sp:Wss10>
          <wsp:Policy/>
        </sp:Wss10>
      </wsp:All>
    </wsp:ExactlyOne>
  </wsp:Policy>
  <wsp:Policy wsu:Id="{REQUEST}">
    <wsp:ExactlyOne>
      <wsp:All>
        <sp:SignedParts>
          <sp:Body/>
        </sp:SignedParts>
      </wsp:All>
    </wsp:ExactlyOne>
  </wsp:Policy>
  <wsp:Policy wsu:Id="{ANSWER}">
    <wsp:ExactlyOne>
      <wsp:All>
        <sp:SignedParts>
          <sp:Body/>
          <sp:Header Namespace="{NAMESPACE}" Name="Exchange"/>
        </sp:SignedParts>
      </wsp:All>
    </wsp:ExactlyOne>
  </wsp:Policy>
</policies>
"""


def policies() -> list[etree._Element]:
    """The policies, for the top of the WSDL."""
    return list(etree.fromstring(_POLICIES, etree.XMLParser(remove_blank_text=True)))


def reference(policy: str) -> etree._Element:
    """What attaches a policy to the element it is put into (WS-PolicyAttachment 1.5 section 4.1)."""
    return etree.Element(f"{{{WSP}}}PolicyReference", URI=f"#{policy}")

package example;

import jakarta.xml.soap.SOAPException;
import jakarta.xml.soap.SOAPMessage;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.apache.cxf.binding.soap.SoapMessage;
import org.apache.cxf.interceptor.Fault;
import org.apache.cxf.ws.security.wss4j.CryptoCoverageChecker;
import org.apache.cxf.ws.security.wss4j.CryptoCoverageUtil.CoverageType;
import org.apache.cxf.ws.security.wss4j.PolicyBasedWSS4JInInterceptor;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/**
 * Refuses an answer, or a fault, that the gateway did not sign as the answer to this request. CXF has verified the
 * signature by then, if there is one: it asks the policy what must be signed of an answer, but not of a fault, and
 * which request the answer names is not its business.
 */
public final class AnswerProof extends CryptoCoverageChecker {
    private static final String BANKAPI = "urn:bankapi:v1";
    private String exchangeId = "";

    public AnswerProof() {
        super(
            Map.of(
                "s", "http://schemas.xmlsoap.org/soap/envelope/",
                "wsse", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
                "wsu", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
                "b", BANKAPI),
            List.of(
                signed("/s:Envelope/s:Body"),
                signed("/s:Envelope/s:Header/b:Exchange"),
                signed("/s:Envelope/s:Header/wsse:Security/wsu:Timestamp")));
        addAfter(PolicyBasedWSS4JInInterceptor.class.getName());
    }

    /** The gateway's name of the last exchange that was proved; empty when the last answer was not. */
    String exchangeId() {
        return exchangeId;
    }

    @Override
    public void handleMessage(SoapMessage message) throws Fault {
        exchangeId = "";
        super.handleMessage(message);
        Element exchange = only(header(message).getChildNodes(), "Exchange");
        byte[] named = Base64.getMimeDecoder().decode(only(exchange.getChildNodes(), "RequestDigest").getTextContent());
        if (!MessageDigest.isEqual(named, (byte[]) message.getExchange().get(SentMessage.DIGEST))) {
            throw refused("the answer is to another request");
        }
        exchangeId = only(exchange.getChildNodes(), "ExchangeId").getTextContent();
    }

    private static XPathExpression signed(String path) {
        return new XPathExpression(path, CoverageType.SIGNED);
    }

    private static Element header(SoapMessage message) {
        try {
            return message.getContent(SOAPMessage.class).getSOAPHeader();
        } catch (SOAPException error) {
            throw refused("no SOAP header");
        }
    }

    private static Element only(NodeList siblings, String name) {
        Element found = null;
        for (int i = 0; i < siblings.getLength(); i++) {
            if (siblings.item(i) instanceof Element element
                && BANKAPI.equals(element.getNamespaceURI()) && name.equals(element.getLocalName())) {
                if (found != null) {
                    throw refused("more than one " + name);
                }
                found = element;
            }
        }
        if (found == null) {
            throw refused("no " + name);
        }
        return found;
    }

    private static Fault refused(String reason) {
        return new Fault(new SecurityException(reason));
    }
}

package example;

import bankapi.v1.Exchange;
import com.sun.xml.ws.api.handler.MessageHandler;
import com.sun.xml.ws.api.handler.MessageHandlerContext;
import com.sun.xml.ws.api.message.Header;
import com.sun.xml.ws.api.message.Headers;
import com.sun.xml.ws.api.message.Message;
import com.sun.xml.ws.api.message.MessageHeaders;
import jakarta.xml.bind.JAXBContext;
import jakarta.xml.bind.JAXBException;
import jakarta.xml.ws.WebServiceException;
import jakarta.xml.ws.handler.MessageContext;
import java.security.MessageDigest;
import java.util.Iterator;
import java.util.Set;
import java.util.UUID;
import javax.xml.namespace.QName;
import javax.xml.stream.XMLStreamException;

/**
 * Refuses an answer, or a fault, to another request. Metro has verified by then what the policy wants signed, the
 * header that names our request among it.
 *
 * <p>It also names every request. WSIT counts ids in each message and its clock ticks in seconds: without a signed
 * name, equal requests of one second would be one signature, and all but the first are refused as replays.
 */
public final class AnswerProof implements MessageHandler<MessageHandlerContext> {
    private static final String BANKAPI = "urn:bankapi:v1";
    private static final QName MESSAGE_ID = new QName("http://www.w3.org/2005/08/addressing", "MessageID");
    private static final QName EXCHANGE = new QName(BANKAPI, "Exchange");
    private static final QName SECURITY = new QName(
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd", "Security");
    private final SentMessage sent;
    private final JAXBContext contract;
    private String exchangeId = "";

    public AnswerProof(SentMessage sent) throws JAXBException {
        this.sent = sent;
        contract = JAXBContext.newInstance(Exchange.class);
    }

    /** The gateway's name of the last exchange that was proved; empty when the last answer was not. */
    String exchangeId() {
        return exchangeId;
    }

    @Override
    public boolean handleMessage(MessageHandlerContext context) {
        Message message = context.getMessage();
        if (Boolean.TRUE.equals(context.get(MessageContext.MESSAGE_OUTBOUND_PROPERTY))) {
            message.getHeaders().add(Headers.create(MESSAGE_ID, "urn:uuid:" + UUID.randomUUID()));
        } else {
            prove(message);
        }
        return true;
    }

    @Override
    public boolean handleFault(MessageHandlerContext context) {
        return handleMessage(context);
    }

    @Override
    public void close(MessageContext context) {}

    @Override
    public Set<QName> getHeaders() {
        return Set.of(EXCHANGE);
    }

    private void prove(Message message) {
        exchangeId = "";
        // A signed Body inside of a forged one would be read as an answer without any element.
        if (!message.isFault() && !BANKAPI.equals(message.getPayloadNamespaceURI())) {
            throw new WebServiceException("an unexpected Body: " + message.getPayloadLocalPart());
        }
        Exchange exchange = only(message.getHeaders());
        if (!MessageDigest.isEqual(exchange.getRequestDigest().getValue(), sent.digest())) {
            throw new WebServiceException("the answer is to another request");
        }
        exchangeId = exchange.getExchangeId();
    }

    /**
     * The one header, besides the security header that Metro has dealt with. Any other is refused: Metro counts a
     * signed Body that was moved there as the signature of the Body, and gives us another.
     */
    private Exchange only(MessageHeaders headers) {
        Iterator<Header> found = headers.getHeaders();
        Header exchange = null;
        while (found.hasNext()) {
            Header header = found.next();
            QName name = new QName(header.getNamespaceURI(), header.getLocalPart());
            if (EXCHANGE.equals(name) && exchange == null) {
                exchange = header;
            } else if (!SECURITY.equals(name)) {
                throw new WebServiceException("an unexpected header: " + name);
            }
        }
        if (exchange == null) {
            throw new WebServiceException("no Exchange");
        }
        try {
            return contract.createUnmarshaller().unmarshal(exchange.readHeader(), Exchange.class).getValue();
        } catch (JAXBException | XMLStreamException error) {
            throw new WebServiceException(error);
        }
    }
}

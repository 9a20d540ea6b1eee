package example;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.function.UnaryOperator;
import org.apache.cxf.interceptor.Fault;
import org.apache.cxf.interceptor.StaxOutInterceptor;
import org.apache.cxf.message.Message;
import org.apache.cxf.phase.AbstractPhaseInterceptor;
import org.apache.cxf.phase.Phase;

/** Keeps the digest of every request as it leaves, signed: the answer must name it. */
public final class SentMessage extends AbstractPhaseInterceptor<Message> {
    static final String DIGEST = SentMessage.class.getName();
    private UnaryOperator<byte[]> change = UnaryOperator.identity();

    public SentMessage() {
        super(Phase.PRE_STREAM);
        addBefore(StaxOutInterceptor.class.getName());
    }

    /** Change requests after they are signed: only to show that the gateway notices. */
    void tamper(UnaryOperator<byte[]> change) {
        this.change = change;
    }

    @Override
    public void handleMessage(Message message) throws Fault {
        OutputStream wire = message.getContent(OutputStream.class);
        message.setContent(OutputStream.class, new ByteArrayOutputStream() {
            @Override
            public void close() throws IOException {
                byte[] request = change.apply(toByteArray());
                message.getExchange().put(DIGEST, sha256(request));
                wire.write(request);
                wire.close();
            }
        });
    }

    private static byte[] sha256(byte[] request) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(request);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}

package example;

import com.sun.xml.ws.api.FeatureConstructor;
import com.sun.xml.ws.api.message.Packet;
import com.sun.xml.ws.api.pipe.ClientTubeAssemblerContext;
import com.sun.xml.ws.api.pipe.Codec;
import com.sun.xml.ws.api.pipe.ContentType;
import com.sun.xml.ws.api.pipe.TransportTubeFactory;
import com.sun.xml.ws.api.pipe.Tube;
import com.sun.xml.ws.transport.http.client.HttpTransportPipe;
import jakarta.xml.ws.WebServiceFeature;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.function.UnaryOperator;

/** Keeps the digest of the request as it leaves, signed: the answer must name it. One port, one thread. */
public final class SentMessage extends WebServiceFeature {
    static final String ID = SentMessage.class.getName();
    private byte[] digest = {};
    private UnaryOperator<byte[]> change = UnaryOperator.identity();

    @FeatureConstructor
    public SentMessage() {
        enabled = true;
    }

    @Override
    public String getID() {
        return ID;
    }

    byte[] digest() {
        return digest;
    }

    /** Change requests after they are signed: only to show that the gateway notices. */
    void tamper(UnaryOperator<byte[]> change) {
        this.change = change;
    }

    private byte[] leaves(byte[] signed) {
        byte[] request = change.apply(signed);
        try {
            digest = MessageDigest.getInstance("SHA-256").digest(request);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
        return request;
    }

    /** Metro's HTTP transport with this in front of it; named in META-INF/services. */
    public static final class Transport extends TransportTubeFactory {
        @Override
        public Tube doCreate(ClientTubeAssemblerContext context) {
            SentMessage sent = context.getBinding().getFeature(SentMessage.class);
            Codec codec = context.getCodec();
            return new HttpTransportPipe(sent == null ? codec : new Watched(codec, sent), context.getBinding());
        }
    }

    private record Watched(Codec codec, SentMessage sent) implements Codec {
        @Override
        public ContentType encode(Packet packet, OutputStream wire) throws IOException {
            ByteArrayOutputStream signed = new ByteArrayOutputStream();
            ContentType type = codec.encode(packet, signed);
            wire.write(sent.leaves(signed.toByteArray()));
            return type;
        }

        @Override
        public Codec copy() {
            return new Watched(codec.copy(), sent);
        }

        @Override
        public String getMimeType() {
            return codec.getMimeType();
        }

        @Override
        public ContentType getStaticContentType(Packet packet) {
            return codec.getStaticContentType(packet);
        }

        @Override
        public ContentType encode(Packet packet, WritableByteChannel wire) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void decode(InputStream answer, String type, Packet packet) throws IOException {
            codec.decode(answer, type, packet);
        }

        @Override
        public void decode(ReadableByteChannel answer, String type, Packet packet) {
            throw new UnsupportedOperationException();
        }
    }
}

package example;

import bankapi.v1.BankApi;
import bankapi.v1.BankApiPortType;
import jakarta.xml.ws.BindingProvider;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** The generated port with its keys: what to sign Metro reads in the WSDL's policy. */
public final class BankApiClient {
    /** PEM files: {@code gatewayCertificate} signs the answers, {@code ca} issued the gateway's TLS certificate. */
    public record Files(Path wsdl, Path certificate, Path key, Path ca, Path gatewayCertificate) {}

    private BankApiClient() {}

    /** A port at this address; {@code sent} and {@code proof} see every exchange. WSIT's keys are one per JVM. */
    public static BankApiPortType connect(URI url, Files files, SentMessage sent, AnswerProof proof) throws Exception {
        Keys.ours = Pem.keyStore(Keys.ALIAS, files.key(), files.certificate(), Keys.PASSWORD);
        Keys.gateways = Pem.trustStore(files.gatewayCertificate());
        BankApiPortType port = new BankApi(forMetro(files.wsdl()).toUri().toURL()).getBankApiSoap11(sent);
        Map<String, Object> context = ((BindingProvider) port).getRequestContext();
        context.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, url.toString());
        context.put(
            "com.sun.xml.ws.transport.https.client.SSLSocketFactory", mutualTls(Pem.trustStore(files.ca())));
        ((BindingProvider) port).getBinding().setHandlerChain(List.of(proof));
        return port;
    }

    /** The WSDL with Metro's own word for the signature algorithm, which else is RSA-SHA1 under every suite. */
    private static Path forMetro(Path wsdl) throws IOException {
        String text = java.nio.file.Files.readString(wsdl)
            .replace("<sp:AlgorithmSuite>", "<sp:AlgorithmSuite signatureAlgorithm=\"SHA256withRSA\">");
        Path copy = java.nio.file.Files.createTempFile("bankapi-", ".wsdl");
        copy.toFile().deleteOnExit();
        return java.nio.file.Files.writeString(copy, text);
    }

    private static SSLSocketFactory mutualTls(KeyStore authorities) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(Keys.ours, Keys.PASSWORD);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return tls.getSocketFactory();
    }
}

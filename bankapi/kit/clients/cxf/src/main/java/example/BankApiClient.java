package example;

import bankapi.v1.BankApi;
import bankapi.v1.BankApiPortType;
import jakarta.xml.ws.BindingProvider;
import java.net.URI;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.apache.cxf.configuration.jsse.TLSClientParameters;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.frontend.ClientProxy;
import org.apache.cxf.rt.security.SecurityConstants;
import org.apache.cxf.transport.http.HTTPConduit;
import org.apache.wss4j.common.crypto.Merlin;

/** The generated port with its keys: what to sign, and how, CXF reads in the WSDL's policy. */
public final class BankApiClient {
    static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    private static final String ALIAS = "terminal";
    private static final char[] PASSWORD = "of a key store that lives in memory only".toCharArray();

    /** PEM files: {@code gatewayCertificate} signs the answers, {@code ca} issued the gateway's TLS certificate. */
    public record Files(Path wsdl, Path certificate, Path key, Path ca, Path gatewayCertificate) {}

    private BankApiClient() {}

    /** A port at this address; {@code sent} and {@code proof} see every exchange. */
    public static BankApiPortType connect(URI url, Files files, SentMessage sent, AnswerProof proof) throws Exception {
        KeyStore ours = Pem.keyStore(ALIAS, files.key(), files.certificate(), PASSWORD);
        KeyStore gateway = Pem.trustStore(files.gatewayCertificate());

        BankApiPortType port = new BankApi(files.wsdl().toUri().toURL()).getBankApiSoap11();
        Map<String, Object> context = ((BindingProvider) port).getRequestContext();
        context.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, url.toString());
        context.put(SecurityConstants.SIGNATURE_CRYPTO, crypto(ours));
        context.put(SecurityConstants.SIGNATURE_USERNAME, ALIAS);
        context.put(SecurityConstants.SIGNATURE_PASSWORD, new String(PASSWORD));
        // The recipient's certificate. Answers are believed when it signed them: not our CA, which issued every
        // terminal's certificate, too.
        context.put(SecurityConstants.ENCRYPT_CRYPTO, crypto(gateway));
        // Basic256Sha256 asks for SHA-256 digests; the signature over them stays RSA-SHA1 without this.
        context.put(org.apache.cxf.ws.security.SecurityConstants.ASYMMETRIC_SIGNATURE_ALGORITHM, RSA_SHA256);
        // Answers may get new optional elements; CXF's default refuses what it does not know.
        context.put("set-jaxb-validation-event-handler", false);

        Client client = ClientProxy.getClient(port);
        client.getOutInterceptors().add(sent);
        client.getInInterceptors().add(proof);
        HTTPConduit conduit = (HTTPConduit) client.getConduit();
        conduit.setTlsClientParameters(mutualTls(ours, Pem.trustStore(files.ca())));
        conduit.getClient().setAllowChunking(false);
        return port;
    }

    private static Merlin crypto(KeyStore keys) {
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);
        return crypto;
    }

    private static TLSClientParameters mutualTls(KeyStore ours, KeyStore authorities) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(ours, PASSWORD);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);
        TLSClientParameters tls = new TLSClientParameters();
        tls.setKeyManagers(keys.getKeyManagers());
        tls.setTrustManagers(trust.getTrustManagers());
        return tls;
    }
}

package example;

import com.sun.xml.wss.impl.callback.CertificateValidationCallback.CertificateValidator;
import com.sun.xml.wss.impl.callback.KeyStoreCallback;
import com.sun.xml.wss.impl.callback.PrivateKeyCallback;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.KeyStoreException;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;
import javax.security.auth.callback.UnsupportedCallbackException;

/** The key stores, as WSIT asks for them: by the names of these classes in META-INF/wsit-client.xml. */
public final class Keys {
    static final String ALIAS = "terminal";
    static final char[] PASSWORD = "of a key store that lives in memory only".toCharArray();
    static KeyStore ours;
    static KeyStore gateways;

    private Keys() {}

    /** What we sign with. */
    public static final class Ours implements CallbackHandler {
        @Override
        public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
            for (Callback callback : callbacks) {
                if (callback instanceof KeyStoreCallback asked) {
                    asked.setKeystore(ours);
                } else if (callback instanceof PrivateKeyCallback asked) {
                    asked.setKey(privateKey());
                } else {
                    throw new UnsupportedCallbackException(callback);
                }
            }
        }
    }

    /** The gateway's signing certificate. */
    public static final class Gateways implements CallbackHandler {
        @Override
        public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
            for (Callback callback : callbacks) {
                if (!(callback instanceof KeyStoreCallback asked)) {
                    throw new UnsupportedCallbackException(callback);
                }
                asked.setKeystore(gateways);
            }
        }
    }

    /** Believes the gateway's certificate alone; WSIT's own validator would believe whatever the CA issued. */
    public static final class GatewayAlone implements CertificateValidator {
        @Override
        public boolean validate(X509Certificate certificate) {
            try {
                return certificate.equals(gateways.getCertificate("trusted"));
            } catch (KeyStoreException error) {
                return false;
            }
        }
    }

    private static PrivateKey privateKey() throws IOException {
        try {
            return (PrivateKey) ours.getKey(ALIAS, PASSWORD);
        } catch (GeneralSecurityException error) {
            throw new IOException(error);
        }
    }
}

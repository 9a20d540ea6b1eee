package example;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

/** Key stores of PEM files, in memory. For a PKCS#12 file {@code KeyStore.getInstance(file, password)} is all. */
final class Pem {
    private Pem() {}

    static KeyStore keyStore(String alias, Path key, Path certificate, char[] password) throws Exception {
        Certificate ours = certificate(certificate);
        String base64 = Files.readString(key).replaceAll("-----[A-Z ]+-----|\\s", "");
        PrivateKey privateKey = KeyFactory.getInstance(ours.getPublicKey().getAlgorithm())
            .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
        KeyStore keys = empty();
        keys.setKeyEntry(alias, privateKey, password, new Certificate[] {ours});
        return keys;
    }

    static KeyStore trustStore(Path certificate) throws Exception {
        KeyStore keys = empty();
        keys.setCertificateEntry("trusted", certificate(certificate));
        return keys;
    }

    private static Certificate certificate(Path file) throws Exception {
        try (InputStream pem = Files.newInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(pem);
        }
    }

    private static KeyStore empty() throws Exception {
        KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null, null);
        return keys;
    }
}

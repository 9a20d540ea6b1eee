// A terminal's certificate with its private key, from the PEM files that `openssl req` and the operator gave you.

using System.Security.Cryptography.X509Certificates;

static class Identity
{
    /// <summary>The certificate with its RSA key. `keyFile` is PKCS #8 PEM without a password.</summary>
    public static X509Certificate2 Load(string certificateFile, string keyFile)
    {
#if MONO
        return new X509Certificate2(certificateFile).CopyWithPrivateKey(OnMono.ReadKey(keyFile));
#elif NETFRAMEWORK
        // It reads no PEM keys: openssl pkcs12 -export -in cert.pem -inkey key.pem -out terminal.pfx
        return new X509Certificate2(keyFile, "", X509KeyStorageFlags.Exportable);
#else
        X509Certificate2 identity = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        return new X509Certificate2(identity.Export(X509ContentType.Pkcs12)); // TLS on Windows wants the key stored.
#endif
    }
}

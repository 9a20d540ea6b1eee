// What Mono 6.8 lacks and .NET has. Leave this file out elsewhere.
#if MONO

using System;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Mono.Security.Cryptography;
using Mono.Security.X509;
using Mono.Security.X509.Extensions;

static class OnMono
{
    /// <summary>The key of a PKCS #8 PEM file: ImportPkcs8PrivateKey is there, and throws.</summary>
    public static RSA ReadKey(string file)
    {
        string key = Regex.Match(File.ReadAllText(file), "PRIVATE KEY-----([^-]+)-----END").Groups[1].Value;
        byte[] pkcs1 = new PKCS8.PrivateKeyInfo(Convert.FromBase64String(key)).PrivateKey;
        return new UnpaddedKey(PKCS8.PrivateKeyInfo.DecodeRSA(pkcs1).ExportParameters(true));
    }

    /// <summary>Is the certificate for this host? To Mono another name is a chain error.</summary>
    public static bool IsFor(string host, byte[] certificate)
    {
        X509Extension names = new X509Certificate(certificate).Extensions["2.5.29.17"];
        return names != null
            && new SubjectAltNameExtension(names).DNSNames.Contains(host, StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Numbers without leading zeros: CopyWithPrivateKey loses a key that has them, about one in fifteen.</summary>
    sealed class UnpaddedKey : RSA
    {
        readonly RSAParameters key;

        public UnpaddedKey(RSAParameters padded)
        {
            key = padded;
            key.D = Unpadded(padded.D);
            key.DP = Unpadded(padded.DP);
            key.DQ = Unpadded(padded.DQ);
            key.InverseQ = Unpadded(padded.InverseQ);
        }

        static byte[] Unpadded(byte[] number)
        {
            return number.SkipWhile(b => b == 0).ToArray();
        }

        public override RSAParameters ExportParameters(bool includePrivateParameters)
        {
            return key;
        }

        public override void ImportParameters(RSAParameters parameters)
        {
            throw new NotSupportedException();
        }
    }
}
#endif

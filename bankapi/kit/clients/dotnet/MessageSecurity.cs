// WS-Security for the bank's side: signs a request's bytes, and proves an answer's bytes. Knows nothing of HTTP or WCF,
// because what counts is bytes: whoever serialises a message again after this has broken its signature.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Security.Cryptography.Xml;
using System.Text;
using System.Xml;

/// <summary>An answer that does not prove itself. What it says is not to be believed.</summary>
public sealed class AnswerNotProvedException : Exception
{
    public AnswerNotProvedException(string reason, Exception cause = null)
        : base("the answer is not trusted: " + reason, cause) { }
}

public sealed class MessageSecurity
{
    public const string BankApi = "urn:bankapi:v1";
    public const string Soap = "http://schemas.xmlsoap.org/soap/envelope/";
    const string Wss = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";
    const string Wsse = Wss + "wssecurity-secext-1.0.xsd";
    const string Wsu = Wss + "wssecurity-utility-1.0.xsd";
    const string X509Token = Wss + "x509-token-profile-1.0#X509v3";
    const string Base64Binary = Wss + "soap-message-security-1.0#Base64Binary";
    const string RsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    const string Sha256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    const string ExclusiveC14n = SignedXml.XmlDsigExcC14NTransformUrl;

    readonly X509Certificate2 terminal;
    readonly RSA key;
    readonly X509Certificate2 gateway;

    /// <param name="terminal">The terminal's certificate, which is sent along, with its RSA key.</param>
    /// <param name="gateway">The certificate the gateway signs with, from the connection letter: no other.</param>
    public MessageSecurity(X509Certificate2 terminal, X509Certificate2 gateway)
    {
        this.terminal = terminal;
        this.gateway = gateway;
        key = terminal.GetRSAPrivateKey() ?? throw new ArgumentException("no RSA key with the terminal's certificate");
    }

    /// <summary>The envelope with a signed Timestamp and Body, as the bytes to send.</summary>
    public byte[] Sign(byte[] envelope)
    {
        XmlDocument document = Parse(envelope);
        XmlElement root = document.DocumentElement;
        XmlElement body = Child(root, Soap, "Body");
        XmlElement header = root.ChildNodes.OfType<XmlElement>().FirstOrDefault(e => e.LocalName == "Header")
            ?? (XmlElement)root.InsertBefore(document.CreateElement(root.Prefix, "Header", Soap), body);

        // Ids are random: RSA signatures are deterministic, and two equal requests of one instant would be a replay.
        string id = Guid.NewGuid().ToString("N");
        DateTime now = DateTime.UtcNow;
        XmlDocumentFragment security = document.CreateDocumentFragment();
        security.InnerXml =
            $"<wsse:Security xmlns:wsse='{Wsse}' xmlns:wsu='{Wsu}' xmlns:soap='{Soap}' soap:mustUnderstand='1'>" +
            $"<wsu:Timestamp wsu:Id='Timestamp-{id}'>" +
            $"<wsu:Created>{Instant(now)}</wsu:Created>" +
            $"<wsu:Expires>{Instant(now.AddMinutes(5))}</wsu:Expires></wsu:Timestamp>" +
            $"<wsse:BinarySecurityToken wsu:Id='Token-{id}' EncodingType='{Base64Binary}' ValueType='{X509Token}'>" +
            $"{Convert.ToBase64String(terminal.RawData)}</wsse:BinarySecurityToken></wsse:Security>";
        header.AppendChild(security);
        XmlAttribute bodyId = document.CreateAttribute("wsu", "Id", Wsu);
        bodyId.Value = $"Body-{id}";
        body.SetAttributeNode(bodyId);

        XmlElement block = Child(header, Wsse, "Security");
        XmlElement signature = Signature(document, id, body, Child(block, Wsu, "Timestamp"));
        block.AppendChild(document.ImportNode(signature, true));
        return Encoding.UTF8.GetBytes(document.OuterXml);
    }

    XmlElement Signature(XmlDocument document, string id, params XmlElement[] parts)
    {
        var signed = new SignedParts(document, parts) { SigningKey = key };
        signed.SignedInfo.CanonicalizationMethod = ExclusiveC14n;
        signed.SignedInfo.SignatureMethod = RsaSha256;
        foreach (XmlElement part in parts)
        {
            var reference = new Reference("#" + part.GetAttribute("Id", Wsu)) { DigestMethod = Sha256 };
            reference.AddTransform(new XmlDsigExcC14NTransform());
            signed.AddReference(reference);
        }
        var token = new XmlDocument();
        token.LoadXml($"<wsse:SecurityTokenReference xmlns:wsse='{Wsse}'>" +
            $"<wsse:Reference URI='#Token-{id}' ValueType='{X509Token}'/></wsse:SecurityTokenReference>");
        signed.KeyInfo = new KeyInfo();
        signed.KeyInfo.AddClause(new KeyInfoNode(token.DocumentElement));
        lock (key) signed.ComputeSignature(); // .NET does not promise that threads may share an RSA object.
        return signed.GetXml();
    }

    /// <summary>What the gateway signed as the answer to this request: Exchange header and Body.</summary>
    /// <param name="answer">The bytes that came.</param>
    /// <param name="request">The bytes that were sent.</param>
    /// <exception cref="AnswerNotProvedException">The answer does not prove itself.</exception>
    public byte[] Prove(byte[] answer, byte[] request)
    {
        try
        {
            return Encoding.UTF8.GetBytes(Proved(answer, request).OuterXml);
        }
        catch (Exception e) when (!(e is AnswerNotProvedException))
        {
            throw new AnswerNotProvedException(e.Message, e); // XML, base64 or a signature that cannot be read.
        }
    }

    XmlDocument Proved(byte[] answer, byte[] request)
    {
        XmlDocument document = Parse(answer);
        // The parts by their position, not by a search: a signed Body somewhere else is not the Body.
        XmlElement envelope = document.DocumentElement;
        Must(envelope.NamespaceURI == Soap && envelope.LocalName == "Envelope", "not an envelope");
        XmlElement body = Child(envelope, Soap, "Body");
        XmlElement header = Child(envelope, Soap, "Header");
        XmlElement exchange = Child(header, BankApi, "Exchange");
        XmlElement security = Child(header, Wsse, "Security");
        // SignedParts finds these three and nothing else, so a reference to anything else fails.
        var signed = new SignedParts(document, body, exchange, Child(security, Wsu, "Timestamp"));
        signed.LoadXml(Child(security, SignedXml.XmlDsigNamespaceUrl, "Signature"));
        Must(signed.SignedInfo.CanonicalizationMethod == ExclusiveC14n, "canonicalization");
        Must(signed.SignedInfo.SignatureMethod == RsaSha256, "signature method");
        var uris = new HashSet<string>();
        foreach (Reference reference in signed.SignedInfo.References)
        {
            TransformChain transforms = reference.TransformChain;
            Must(reference.DigestMethod == Sha256, "digest method");
            Must(transforms.Count == 1 && transforms[0].Algorithm == ExclusiveC14n, "transforms");
            uris.Add(reference.Uri);
        }
        Must(uris.SetEquals(signed.Uris), "another set of parts is signed than Body, Exchange and Timestamp");
        // The pinned key; the certificate inside the message is never asked.
        Must(signed.CheckSignature(gateway.GetRSAPublicKey()), "what was signed was changed");

        byte[] digest;
        using (SHA256 sha256 = SHA256.Create()) digest = sha256.ComputeHash(request);
        string named = Child(exchange, BankApi, "RequestDigest").InnerText;
        Must(named == Convert.ToBase64String(digest), "the answer is to another request");

        var proved = new XmlDocument { PreserveWhitespace = true };
        proved.LoadXml($"<soap:Envelope xmlns:soap='{Soap}'><soap:Header/></soap:Envelope>");
        proved.DocumentElement.FirstChild.AppendChild(proved.ImportNode(exchange, true));
        proved.DocumentElement.AppendChild(proved.ImportNode(body, true));
        return proved;
    }

    /// <summary>SignedXml looks for `Id` anywhere in the document; here a part has a `wsu:Id` and a place.</summary>
    sealed class SignedParts : SignedXml
    {
        readonly Dictionary<string, XmlElement> parts;

        public SignedParts(XmlDocument document, params XmlElement[] parts) : base(document)
        {
            this.parts = parts.ToDictionary(part => part.GetAttribute("Id", Wsu)); // Throws when two have one id.
            Resolver = null;
        }

        public IEnumerable<string> Uris => parts.Keys.Select(id => "#" + id);

        public override XmlElement GetIdElement(XmlDocument document, string idValue)
        {
            return parts.TryGetValue(idValue, out XmlElement part) ? part : null;
        }
    }

    public static XmlDocument Parse(byte[] message)
    {
        // Comments are not signed (they are not in the canonical form), so they are not read either.
        var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, IgnoreComments = true };
        var document = new XmlDocument { PreserveWhitespace = true, XmlResolver = null };
        using (var reader = XmlReader.Create(new MemoryStream(message), settings)) document.Load(reader);
        return document;
    }

    /// <summary>The one child of this name; refused when there is none, or another.</summary>
    public static XmlElement Child(XmlElement parent, string space, string name)
    {
        XmlElement[] found = parent.ChildNodes.OfType<XmlElement>()
            .Where(e => e.NamespaceURI == space && e.LocalName == name).ToArray();
        Must(found.Length == 1, found.Length + " of " + name + " in " + parent.LocalName);
        return found[0];
    }

    static string Instant(DateTime at)
    {
        return at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
    }

    static void Must(bool holds, string otherwise)
    {
        if (!holds) throw new AnswerNotProvedException(otherwise);
    }
}

// The bank's client: types made of the published WSDL, HttpClient under them, and MessageSecurity in between.

using System;
using System.Linq;
using System.Net.Http;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Threading.Tasks;
using System.Xml;
using System.Xml.Serialization;
using BankApi;

/// <summary>The gateway's signed refusal of a message. What follows from it is in <see cref="Fault"/>.</summary>
public sealed class BankApiFaultException : Exception
{
    public readonly BankApiFault Fault;

    public BankApiFaultException(BankApiFault fault) : base(fault.Code + ": " + fault.Message.Value)
    {
        Fault = fault;
    }
}

/// <summary>One per thread, because of <see cref="ExchangeId"/>.</summary>
public sealed class BankApiClient : IDisposable
{
    readonly HttpClient http;
    readonly string url;

    public BankApiClient(string url, HttpMessageHandler signing)
    {
        this.url = url;
        http = new HttpClient(signing) { Timeout = TimeSpan.FromSeconds(30) };
    }

    /// <summary>Names the last answer in the gateway's evidence; empty when none was proved.</summary>
    public string ExchangeId { get; private set; } = "";

    /// <summary>The answer to a request; the operation is in the request's name.</summary>
    /// <exception cref="BankApiFaultException">The gateway refused the message.</exception>
    /// <exception cref="AnswerNotProvedException">The answer does not prove itself.</exception>
    /// <exception cref="HttpRequestException">No answer: repeat the same request, or ask for the status.</exception>
    public async Task<TResponse> CallAsync<TResponse>(object request)
    {
        ExchangeId = "";
        string name = request.GetType().Name;
        string operation = name.Substring(0, name.Length - "Request".Length);
        using (var message = new HttpRequestMessage(HttpMethod.Post, url))
        {
            message.Content = new StringContent(Envelope(request), Encoding.UTF8, "text/xml");
            message.Headers.Add("SOAPAction", "\"" + MessageSecurity.BankApi + "/" + operation + "\"");
            using (HttpResponseMessage response = await http.SendAsync(message).ConfigureAwait(false))
                return Read<TResponse>(await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false));
        }
    }

    TResponse Read<TResponse>(byte[] answer)
    {
        XmlElement envelope = MessageSecurity.Parse(answer).DocumentElement;
        XmlElement header = MessageSecurity.Child(envelope, MessageSecurity.Soap, "Header");
        XmlElement body = MessageSecurity.Child(envelope, MessageSecurity.Soap, "Body");
        XmlElement exchange = MessageSecurity.Child(header, MessageSecurity.BankApi, "Exchange");
        ExchangeId = Deserialize<Exchange>(exchange).ExchangeId;
        XmlElement payload = body.ChildNodes.OfType<XmlElement>().Single();
        if (payload.NamespaceURI == MessageSecurity.Soap && payload.LocalName == "Fault")
        {
            var detail = (XmlElement)payload.SelectSingleNode("detail/*");
            throw new BankApiFaultException(Deserialize<BankApiFault>(detail));
        }
        return Deserialize<TResponse>(payload);
    }

    static string Envelope(object request)
    {
        var unprefixed = new XmlSerializerNamespaces(new[] { new XmlQualifiedName("", MessageSecurity.BankApi) });
        var text = new StringBuilder();
        using (XmlWriter writer = XmlWriter.Create(text, new XmlWriterSettings { OmitXmlDeclaration = true }))
        {
            writer.WriteStartElement("soap", "Envelope", MessageSecurity.Soap);
            writer.WriteStartElement("Body", MessageSecurity.Soap);
            Serializer(request.GetType()).Serialize(writer, request, unprefixed);
        }
        return text.ToString();
    }

    static T Deserialize<T>(XmlElement element)
    {
        return (T)Serializer(typeof(T)).Deserialize(new XmlNodeReader(element));
    }

    // The element is said here because svcutil, unlike xsd, does not say it on the type.
    static XmlSerializer Serializer(Type type)
    {
        return new XmlSerializer(type, new XmlRootAttribute(type.Name) { Namespace = MessageSecurity.BankApi });
    }

    /// <summary>TLS with the terminal's certificate, to the server of this name with our CA's certificate.</summary>
    /// <param name="terminal">The terminal's certificate with its private key.</param>
    /// <param name="ca">The operator's CA, from the connection letter; the system's store is not asked.</param>
    /// <param name="host">The gateway's name, as in its address.</param>
    public static HttpMessageHandler Transport(X509Certificate2 terminal, X509Certificate2 ca, string host)
    {
#if NETFRAMEWORK
        var handler = new HttpClientHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false };
        handler.ClientCertificates.Add(terminal);
        handler.ServerCertificateCustomValidationCallback =
            (_, server, __, errors) => IsGateway(server, errors, ca, host);
#else
        var handler = new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false };
        handler.SslOptions.LocalCertificateSelectionCallback = (sender, target, local, remote, issuers) => terminal;
        handler.SslOptions.RemoteCertificateValidationCallback =
            (_, server, __, errors) => IsGateway(server, errors, ca, host);
#endif
        return handler;
    }

    static bool IsGateway(X509Certificate server, SslPolicyErrors errors, X509Certificate2 ca, string host)
    {
        // .NET compared the name, and asked the system's store, which does not know our CA: that is asked here.
        if (server == null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0) return false;
#if MONO
        if (!OnMono.IsFor(host, server.GetRawCertData())) return false;
#endif
        using (var chain = new X509Chain())
        {
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            chain.ChainPolicy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
            chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1")); // A server's, no terminal's.
            chain.ChainPolicy.ExtraStore.Add(ca);
            if (!chain.Build(new X509Certificate2(server))) return false;
            X509Certificate2 root = chain.ChainElements[chain.ChainElements.Count - 1].Certificate;
            return root.RawData.SequenceEqual(ca.RawData);
        }
    }

    public void Dispose()
    {
        http.Dispose();
    }
}

// Under whatever speaks SOAP over HttpClient: requests leave signed, and answers come up only if proved.

using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

public class SigningHandler : DelegatingHandler
{
    readonly MessageSecurity security;

    /// <param name="security">Who signs, and whom to believe.</param>
    /// <param name="transport">TLS with the terminal's certificate; see <see cref="BankApiClient.Transport"/>.</param>
    public SigningHandler(MessageSecurity security, HttpMessageHandler transport) : base(transport)
    {
        this.security = security;
    }

    protected virtual byte[] Sign(byte[] envelope)
    {
        return security.Sign(envelope);
    }

    /// <exception cref="AnswerNotProvedException">The answer does not prove itself.</exception>
    protected override async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, CancellationToken cancellation)
    {
        byte[] sent = Sign(await request.Content.ReadAsByteArrayAsync().ConfigureAwait(false));
        request.Content = WithContent(sent, request.Content);
        HttpResponseMessage response = await base.SendAsync(request, cancellation).ConfigureAwait(false);
        byte[] answer = await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
        response.Content = WithContent(security.Prove(answer, sent), response.Content);
        return response;
    }

    static ByteArrayContent WithContent(byte[] message, HttpContent original)
    {
        var content = new ByteArrayContent(message);
        content.Headers.ContentType = original.Headers.ContentType;
        return content;
    }
}

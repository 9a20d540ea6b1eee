// .NET 8: the same signing under a proxy that dotnet-svcutil made. WCF's own message security is not in .NET.
//
//   var client = new BankApiPortTypeClient(new BasicHttpsBinding(), new EndpointAddress(url));
//   client.Endpoint.EndpointBehaviors.Add(
//       new WcfSecurity(security, () => BankApiClient.Transport(identity, ca, new Uri(url).Host)));
//
// On .NET Framework WCF does not ask for a handler: use BankApiClient there.

using System;
using System.Net.Http;
using System.ServiceModel.Channels;
using System.ServiceModel.Description;
using System.ServiceModel.Dispatcher;

public sealed class WcfSecurity : IEndpointBehavior
{
    readonly MessageSecurity security;
    readonly Func<HttpMessageHandler> transport;

    public WcfSecurity(MessageSecurity security, Func<HttpMessageHandler> transport)
    {
        this.security = security;
        this.transport = transport;
    }

    public void AddBindingParameters(ServiceEndpoint endpoint, BindingParameterCollection parameters)
    {
        parameters.Add(new Func<HttpClientHandler, HttpMessageHandler>(_ => new SigningHandler(security, transport())));
    }

    public void ApplyClientBehavior(ServiceEndpoint endpoint, ClientRuntime runtime) { }

    public void ApplyDispatchBehavior(ServiceEndpoint endpoint, EndpointDispatcher dispatcher) { }

    public void Validate(ServiceEndpoint endpoint) { }
}

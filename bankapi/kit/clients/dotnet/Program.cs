// Each operation once: a bank's client in C#. README.md says how it is built, and which files to copy.
//
//   mono bankapi.exe --url https://localhost:8443/soap/v1 --cert cert.pem --key key.pem \
//       --ca ca.pem --gateway-cert signing-cert.pem --reference MY-1 validate register
//
// (`--wsdl` is taken and not used: the types were made of the WSDL when this was built.)
// Every step prints one JSON object. Exit code 1 is a SOAP fault, 3 an answer that does not prove itself, or none.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net.Http;
using System.Reflection;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Threading.Tasks;
using System.Xml.Serialization;
using BankApi;

static class Program
{
    static Dictionary<string, string> options = new Dictionary<string, string>
    {
        ["msisdn"] = "79160000001",
        ["amount"] = "100.00",
        ["day"] = DateTime.Today.ToString("yyyy-MM-dd"),
    };

    static int Main(string[] arguments)
    {
        var steps = new List<string>();
        for (int i = 0; i < arguments.Length; i++)
            if (arguments[i].StartsWith("--")) options[arguments[i].Substring(2)] = arguments[++i];
            else steps.Add(arguments[i]);

        X509Certificate2 identity = Identity.Load(options["cert"], options["key"]);
        var security = new MessageSecurity(identity, new X509Certificate2(options["gateway-cert"]));
        HttpMessageHandler transport = BankApiClient.Transport(
            identity, new X509Certificate2(options["ca"]), new Uri(options["url"]).Host);
        int exitCode = 0;
        using (var client = new BankApiClient(options["url"], new SigningHandler(security, transport)))
        using (var forger = new BankApiClient(options["url"], new TamperingHandler(security, transport)))
            foreach (string step in steps)
            {
                BankApiClient used = step == "tamper" ? forger : client;
                var line = new Dictionary<string, object> { ["step"] = step };
                try
                {
                    line["answer"] = Perform(used, step).GetAwaiter().GetResult();
                }
                catch (BankApiFaultException e)
                {
                    line["fault"] = e.Fault;
                    exitCode = 1;
                }
                catch (Exception e)
                    when (e is AnswerNotProvedException || e is HttpRequestException || e is TaskCanceledException)
                {
                    line["error"] = e.GetType().Name + ": " + e.Message;
                    exitCode = 3;
                }
                line["exchange_id"] = used.ExchangeId;
                Console.WriteLine(Json(line));
            }
        return exitCode;
    }

    static async Task<object> Perform(BankApiClient client, string step)
    {
        var payer = new Payer { Item = options["msisdn"], ItemElementName = ItemChoiceType.Msisdn };
        string reference = options["reference"];
        DateTime day = DateTime.ParseExact(options["day"], "yyyy-MM-dd", CultureInfo.InvariantCulture);
        switch (step)
        {
            case "ping":
                return await client.CallAsync<PingResponse>(new PingRequest());
            case "validate":
                return await client.CallAsync<ValidatePaymentResponse>(
                    new ValidatePaymentRequest { Payer = payer, Amount = Rub() });
            case "register":
            case "tamper":
                return await client.CallAsync<RegisterPaymentResponse>(Payment(payer, Rub()));
            case "conflict":
                return await client.CallAsync<RegisterPaymentResponse>(Payment(payer, Rub("1.23")));
            case "status":
                return await client.CallAsync<GetPaymentStatusResponse>(Status(reference));
            case "violate":
                return await client.CallAsync<GetPaymentStatusResponse>(Status("no spaces allowed"));
            case "balance":
                return await client.CallAsync<GetBalanceResponse>(new GetBalanceRequest { Payer = payer });
            case "statement":
                return await client.CallAsync<GetMiniStatementResponse>(new GetMiniStatementRequest { Payer = payer });
            case "cancel":
                return await client.CallAsync<CancelPaymentResponse>(new CancelPaymentRequest
                {
                    Item = reference,
                    ItemElementName = ItemChoiceType1.Reference,
                    Amount = Rub(),
                    Reason = "CUSTOMER_REQUEST",
                });
            case "transactions":
                return await client.CallAsync<GetTransactionReportResponse>(new GetTransactionReportRequest
                {
                    From = day,
                    To = day,
                    Event = new[] { "REGISTERED" },
                    PageSize = "500",
                });
            case "totals":
                return await client.CallAsync<GetFinancialReportResponse>(
                    new GetFinancialReportRequest { From = day, To = day });
            case "submit":
                return await client.CallAsync<SubmitRegisterResponse>(new SubmitRegisterRequest
                {
                    RegisterReference = reference,
                    BusinessDay = day,
                    RowCount = "1",
                    HashTotal = Rub().Value,
                    Part = "1",
                    Parts = "1",
                    Row = new[] { new RegisterRow { Reference = reference, Status = "REGISTERED", Amount = Rub() } },
                });
            case "reconciliation":
                return await client.CallAsync<GetReconciliationResponse>(
                    new GetReconciliationRequest { RegisterReference = reference });
            default:
                throw new ArgumentException("no such step: " + step);
        }
    }

    static RegisterPaymentRequest Payment(Payer payer, PositiveAmount amount)
    {
        return new RegisterPaymentRequest
        {
            Reference = options["reference"],
            Payer = payer,
            Amount = amount,
            PaidAt = new DateTime(2026, 3, 1, 9, 0, 0, DateTimeKind.Utc), // The same in every repetition of a request.
        };
    }

    static GetPaymentStatusRequest Status(string reference)
    {
        return new GetPaymentStatusRequest { Item = reference, ItemElementName = ItemChoiceType2.Reference };
    }

    // A decimal keeps the digits it was written with: 100.00m, not 100m, and never a double.
    static PositiveAmount Rub(string amount = null)
    {
        decimal value = decimal.Parse(amount ?? options["amount"], CultureInfo.InvariantCulture);
        return new PositiveAmount { Value = value, currency = "RUB" };
    }

    /// <summary>Only for the step `tamper`: changes the amount after signing.</summary>
    sealed class TamperingHandler : SigningHandler
    {
        public TamperingHandler(MessageSecurity security, HttpMessageHandler transport) : base(security, transport) { }

        protected override byte[] Sign(byte[] envelope)
        {
            string signed = Encoding.UTF8.GetString(base.Sign(envelope));
            return Encoding.UTF8.GetBytes(signed.Replace(">" + options["amount"] + "<", ">999.00<"));
        }
    }

    /// <summary>A generated type's object as JSON, under the schema's names; absent elements are left out.</summary>
    static string Json(object value)
    {
        if (value is bool truth) return truth ? "true" : "false";
        if (value is string text) return "\"" + string.Concat(text.Select(Escaped)) + "\"";
        if (value is byte[] bytes) return Json(Convert.ToBase64String(bytes));
        if (value is DateTime at) return Json(at.ToString(at.Kind == DateTimeKind.Utc ? "o" : "yyyy-MM-dd")); // xs:date
        if (value is IFormattable scalar) return Json(scalar.ToString(null, CultureInfo.InvariantCulture));
        if (value is Dictionary<string, object> members)
        {
            var present = members.Where(m => m.Value != null).Select(m => Json(m.Key) + ": " + Json(m.Value));
            return "{" + string.Join(", ", present) + "}";
        }
        if (value is IEnumerable items) return "[" + string.Join(", ", items.Cast<object>().Select(Json)) + "]";
        return Json(Members(value));
    }

    static Dictionary<string, object> Members(object value)
    {
        var members = new Dictionary<string, object>();
        foreach (PropertyInfo property in value.GetType().GetProperties())
        {
            if (property.IsDefined(typeof(XmlIgnoreAttribute))) continue;
            if (property.IsDefined(typeof(XmlAnyAttributeAttribute))) continue;
            PropertyInfo specified = value.GetType().GetProperty(property.Name + "Specified");
            if (specified != null && !(bool)specified.GetValue(value)) continue;
            string name = property.Name;
            var choice = property.GetCustomAttribute<XmlChoiceIdentifierAttribute>();
            if (choice != null) name = value.GetType().GetProperty(choice.MemberName).GetValue(value).ToString();
            members[name] = property.GetValue(value);
        }
        return members;
    }

    static string Escaped(char c)
    {
        return c == '"' || c == '\\' ? "\\" + c : c < ' ' ? "\\u" + ((int)c).ToString("x4") : c.ToString();
    }
}

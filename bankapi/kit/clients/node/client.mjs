// A bank's client in node: `soap` with its own WS-Security, the published WSDL file, and `xml-crypto` (which `soap`
// signs with) to check answers, because `soap` itself never does.
//
//   npm ci
//   node client.mjs --wsdl bankapi-v1.wsdl --url https://localhost:8443/soap/v1 --cert cert.pem --key key.pem \
//       --ca ca.pem --gateway-cert signing-cert.pem --reference MY-1 validate register
//
// Copy `connect`, `GatewayChannel` and `signedParts`; the rest shows each operation once. Every step prints one JSON
// object. Exit code 1 is a SOAP fault, 3 an answer that does not prove itself or no answer at all.

import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { parseArgs } from "node:util";
import { DOMParser } from "@xmldom/xmldom";
import soap from "soap";
import { SignedXml } from "xml-crypto";

const BANKAPI = "urn:bankapi:v1";
const SOAP = "http://schemas.xmlsoap.org/soap/envelope/";
const WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DS = "http://www.w3.org/2000/09/xmldsig#";
const EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#";
const RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";

/** What the gateway signed, as the canonical bytes it signed; throws when the answer does not prove itself. */
export function signedParts(answer, request, gatewayCertificate) {
  const fatal = (message) => {
    throw new Error(`not well-formed: ${message}`);
  };
  const document = new DOMParser({ errorHandler: { error: fatal, fatalError: fatal } }).parseFromString(answer, "text/xml");
  must(document.doctype === null, "a DOCTYPE");
  const child = (parent, namespace, name) => {
    const found = Array.from(parent.childNodes).filter((n) => n.namespaceURI === namespace && n.localName === name);
    must(found.length === 1, `${found.length} of ${name} in ${parent.localName}`);
    return found[0];
  };
  // The parts by their position, not by a search: a signed Body somewhere else is not the Body.
  const envelope = document.documentElement;
  must(envelope.namespaceURI === SOAP && envelope.localName === "Envelope", "not an envelope");
  const header = child(envelope, SOAP, "Header");
  const security = child(header, WSSE, "Security");
  const signature = child(security, DS, "Signature");
  const parts = {
    body: child(envelope, SOAP, "Body"),
    exchange: child(header, BANKAPI, "Exchange"),
    timestamp: child(security, WSU, "Timestamp"),
  };

  const verifier = new SignedXml({ idMode: "wssecurity", publicCert: gatewayCertificate });
  // Only what the contract allows; the certificate inside the message is never asked.
  verifier.SignatureAlgorithms = { [RSA_SHA256]: verifier.SignatureAlgorithms[RSA_SHA256] };
  verifier.HashAlgorithms = { [SHA256]: verifier.HashAlgorithms[SHA256] };
  verifier.CanonicalizationAlgorithms = { [EXC_C14N]: verifier.CanonicalizationAlgorithms[EXC_C14N] };
  verifier.loadSignature(signature);
  must(verifier.checkSignature(answer), "what was signed was changed"); // It refuses ids that occur twice.
  const signed = new Map(verifier.getReferences().map((reference) => [reference.uri, reference.signedReference]));
  const xml = {};
  for (const [name, part] of Object.entries(parts)) {
    xml[name] = signed.get(`#${part.getAttributeNS(WSU, "Id")}`);
    must(xml[name], `${name} is not signed`);
  }

  const exchange = new DOMParser().parseFromString(xml.exchange, "text/xml").documentElement;
  const digest = createHash("sha256").update(request).digest("base64");
  must(child(exchange, BANKAPI, "RequestDigest").textContent === digest, "the answer is to another request");
  return { ...xml, exchangeId: child(exchange, BANKAPI, "ExchangeId").textContent };
}

/** Mutual TLS under `soap`; gives it nothing but what the gateway signed as the answer to this request. */
class GatewayChannel extends soap.HttpClient {
  constructor({ cert, key, ca, gatewayCertificate }) {
    super();
    // Node before 20 tries a host's first address only; of localhost that may be ::1.
    this.agent = new Agent({ cert, key, ca, keepAlive: true, autoSelectFamily: true });
    this.gatewayCertificate = gatewayCertificate;
    this.exchangeId = "";
  }

  request(url, message, callback, headers, options) {
    this.exchangeId = "";
    const received = (error, response, answer) => {
      if (error) return callback(error);
      try {
        const parts = signedParts(answer, message, this.gatewayCertificate);
        this.exchangeId = parts.exchangeId;
        response.data = `<s:Envelope xmlns:s="${SOAP}"><s:Header>${parts.exchange}</s:Header>${parts.body}</s:Envelope>`;
      } catch (reason) {
        return callback(new Error(`the answer is not trusted: ${reason.message}`, { cause: reason }));
      }
      return callback(null, response, response.data);
    };
    return super.request(url, message, received, headers, { ...options, httpsAgent: this.agent, proxy: false });
  }
}

/** The client, at our address instead of the WSDL's example, and the channel it talks through. */
export async function connect(o) {
  const [cert, key, ca, gatewayCertificate] = [o.cert, o.key, o.ca, o["gateway-cert"]].map((file) => readFileSync(file, "utf8"));
  const channel = new GatewayChannel({ cert, key, ca, gatewayCertificate });
  const client = await soap.createClientAsync(o.wsdl, { endpoint: o.url, httpClient: channel });
  client.setSecurity(
    new soap.WSSecurityCert(key, cert, "", {
      signatureTransformations: [EXC_C14N],
      signerOptions: { idMode: "wssecurity" }, // wsu:Id instead of Id
    }),
  );
  // `soap` numbers ids from 0 in every object and its clock ticks in seconds: two objects' equal requests of one second
  // would be one signature, and the second is refused as a replay.
  client.addBodyAttribute({ "xmlns:wsu": WSU, "wsu:Id": `Body-${randomUUID()}` });
  return { client, channel };
}

const STEPS = {
  ping: (client) => client.PingAsync({}),
  validate: (client, o) => client.ValidatePaymentAsync({ Payer: { Msisdn: o.msisdn }, Amount: rub(o.amount) }),
  register: (client, o) => client.RegisterPaymentAsync(payment(o, o.amount)),
  conflict: (client, o) => client.RegisterPaymentAsync(payment(o, "1.23")),
  status: (client, o) => client.GetPaymentStatusAsync({ Reference: o.reference }),
  balance: (client, o) => client.GetBalanceAsync({ Payer: { Msisdn: o.msisdn } }),
  statement: (client, o) => client.GetMiniStatementAsync({ Payer: { Msisdn: o.msisdn } }),
  cancel: (client, o) =>
    client.CancelPaymentAsync({ Reference: o.reference, Amount: rub(o.amount), Reason: "CUSTOMER_REQUEST" }),
  transactions: (client, o) =>
    client.GetTransactionReportAsync({ From: o.day, To: o.day, Event: ["REGISTERED"], PageSize: 500 }),
  totals: (client, o) => client.GetFinancialReportAsync({ From: o.day, To: o.day }),
  submit: (client, o) =>
    // A whole register in one part: one row, and its totals.
    client.SubmitRegisterAsync({
      RegisterReference: o.reference, BusinessDay: o.day, RowCount: 1, HashTotal: o.amount, Part: 1, Parts: 1,
      Row: [{ Reference: o.reference, Status: "REGISTERED", Amount: rub(o.amount) }],
    }),
  reconciliation: (client, o) => client.GetReconciliationAsync({ RegisterReference: o.reference }),
  violate: (client) => client.GetPaymentStatusAsync({ Reference: "no spaces allowed" }),
  tamper: (client, o) =>
    client.RegisterPaymentAsync(payment(o, o.amount), {
      postProcess: (signed) => signed.replace(`>${o.amount}<`, ">999.00<"), // after signing
    }),
};

// Amounts and times are texts: a number loses digits, a Date is not written as an xs:dateTime.
function payment(o, amount) {
  return { Reference: o.reference, Payer: { Msisdn: o.msisdn }, Amount: rub(amount), PaidAt: "2026-03-01T12:00:00+03:00" };
}

function rub(amount) {
  return { attributes: { currency: "RUB" }, $value: amount };
}

function must(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

async function main() {
  const text = { type: "string" };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      wsdl: text, url: text, cert: text, key: text, ca: text, "gateway-cert": text, reference: text,
      msisdn: { ...text, default: "79160000001" },
      amount: { ...text, default: "100.00" },
      day: { ...text, default: new Date().toISOString().slice(0, 10) }, // in your time zone
    },
  });
  const { client, channel } = await connect(values);
  for (const step of positionals) {
    const line = { step };
    try {
      [line.answer] = await STEPS[step](client, values);
    } catch (error) {
      const fault = error.root?.Envelope?.Body?.Fault;
      if (fault) line.fault = fault.detail.BankApiFault;
      else line.error = `${error.name}: ${error.message}`;
      process.exitCode = fault ? 1 : 3;
    }
    line.exchange_id = channel.exchangeId;
    console.log(JSON.stringify(line));
  }
  channel.agent.destroy();
}

await main();

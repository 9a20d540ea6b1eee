#include "gateway.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <set>

#include "BankApiSoap11.nsmap"
#include "wsseapi.h"

namespace {

const char BANKAPI[] = "urn:bankapi:v1";
const char SOAP[] = "http://schemas.xmlsoap.org/soap/envelope/";
const char WSSE[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const char WSU[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const char DS[] = "http://www.w3.org/2000/09/xmldsig#";
const std::set<std::string> ALGORITHMS = {
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmlenc#sha256",
};

void require(bool holds, const std::string& otherwise) {
    if (!holds) throw NotProven("the answer is not trusted: " + otherwise);
}

std::string local_name(const char* name) {
    const std::string qualified = name ? name : "";
    return qualified.substr(qualified.find(':') + 1);
}

/** The one child of this name: a part is where the contract puts it, or it is not that part. */
const soap_dom_element& only(const soap_dom_element& parent, const char* space, const std::string& name) {
    const soap_dom_element* found = nullptr;
    for (const soap_dom_element* child = parent.elts; child; child = child->next) {
        if (!child->nstr || std::string(child->nstr) != space || local_name(child->name) != name) continue;
        require(!found, "two of " + name);
        found = child;
    }
    require(found, "no " + name);
    return *found;
}

/** How many elements of this name, in whatever namespace, are there at all? */
int count(const soap_dom_element& element, const std::string& name) {
    int found = local_name(element.name) == name;
    for (const soap_dom_element* child = element.elts; child; child = child->next) found += count(*child, name);
    return found;
}

/** The values of an attribute, of the element and of all within. */
std::set<std::string> values(const soap_dom_element& element, const std::string& name) {
    std::set<std::string> found;
    for (const soap_dom_attribute* each = element.atts; each; each = each->next)
        if (each->name && each->text && each->name == name) found.insert(each->text);
    for (const soap_dom_element* child = element.elts; child; child = child->next) found.merge(values(*child, name));
    return found;
}

std::string text(const soap_dom_element& element) { return element.text ? element.text : ""; }

std::string wsu_id(const soap_dom_element& element) {
    for (const soap_dom_attribute* each = element.atts; each; each = each->next)
        if (each->nstr && std::string(each->nstr) == WSU && local_name(each->name) == "Id") return each->text;
    return "";
}

std::string sha256_base64(const std::string& bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
    EVP_EncodeBlock(base64, digest, length);
    return reinterpret_cast<char*>(base64);
}

/** What an OpenSSL function reads from a PEM file. */
template <class Read>
auto from_pem(const std::string& file, Read read) {
    std::unique_ptr<BIO, void (*)(BIO*)> bio(BIO_new_file(file.c_str(), "r"), BIO_free_all);
    auto* found = bio ? read(bio.get(), nullptr, nullptr, nullptr) : nullptr;
    if (!found) throw std::runtime_error("cannot read " + file);
    return found;
}

EVP_PKEY* public_key(const std::string& certificate) {
    std::unique_ptr<X509, void (*)(X509*)> read(from_pem(certificate, PEM_read_bio_X509), X509_free);
    return X509_get_pubkey(read.get());
}

}  // namespace

// SOAP_C_UTFSTRING: std::string is UTF-8, both ways. SOAP_XML_CANONICAL: signatures over canonical XML. SOAP_XML_TREE:
// no multi-reference href and id, by which one element could stand for another.
Gateway::Gateway(const std::string& url, const std::string& certificate, const std::string& key, const std::string& ca,
                 const std::string& gateway_certificate)
    : context(SOAP_C_UTFSTRING | SOAP_XML_CANONICAL | SOAP_XML_TREE),
      proxy(&context, url.c_str()),
      certificate(certificate),
      key(from_pem(key, PEM_read_bio_PrivateKey), EVP_PKEY_free),
      gateway_key(public_key(gateway_certificate), EVP_PKEY_free) {
    soap* const soap = &context;
    soap_register_plugin(soap, soap_wsse);
    // Checks the gateway's chain and its name; without NO_DEFAULT_CA_PATH the system's CAs would be trusted, too. A key
    // that is given here must be in one file with its certificate.
    const unsigned short how =
        SOAP_SSL_REQUIRE_SERVER_AUTHENTICATION | SOAP_SSL_NO_DEFAULT_CA_PATH | SOAP_TLSv1_2 | SOAP_TLSv1_3;
    if (soap_ssl_client_context(soap, how, nullptr, nullptr, ca.c_str(), nullptr, nullptr)) fail();
    if (SSL_CTX_use_certificate_chain_file(soap->ctx, certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(soap->ctx, key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw std::runtime_error("cannot use " + certificate + " and " + key + " for TLS");
    soap->connect_timeout = 10;
    soap->send_timeout = soap->recv_timeout = 30;
    soap->socket_flags = MSG_NOSIGNAL;  // A connection that breaks is an error, not a SIGPIPE.
    soap->user = this;
    send_over_tls = soap->fsend;
    soap->fsend = send_bytes;
}

/** Everything that is sent passes here: the answer must name the digest of the message as it went out. */
int Gateway::send_bytes(soap* context, const char* bytes, size_t length) {
    Gateway& gateway = *static_cast<Gateway*>(context->user);
    std::string message(bytes, length);
    const size_t at = message.find(">" + gateway.amount_to_forge + "<");
    if (!gateway.amount_to_forge.empty() && at != std::string::npos) message[at + 1] = '9';
    gateway.sent += message;
    return gateway.send_over_tls(context, message.data(), message.size());
}

void Gateway::sign() {
    soap* const soap = &context;
    exchange_id.clear();
    sent.clear();
    soap_destroy(soap);
    soap_end(soap);
    // The plugin's clock ticks in seconds and RSA signatures are deterministic: but for this id, two equal requests of
    // one second would be one signature, and the second is refused as a replay.
    const std::string unique = soap_rand_uuid(soap, "Timestamp-");
    if (soap_wsse_add_Timestamp(soap, unique.c_str(), 300) ||
        soap_wsse_add_BinarySecurityTokenPEM(soap, "Token", certificate.c_str()) ||
        soap_wsse_add_KeyInfo_SecurityTokenReferenceX509(soap, "#Token") ||
        soap_wsse_sign_body(soap, SOAP_SMD_SIGN_RSA_SHA256, key.get(), 0))  // And all that has a wsu:Id.
        fail();
}

void Gateway::receive() {
    soap* const soap = &context;
    size_t length = 0;
    const char* const body = soap_begin_recv(soap) ? nullptr : soap_http_get_body(soap, &length);
    if (!body || soap_end_recv(soap)) fail();
    received.assign(body, length);
    soap_closesock(soap);
}

void Gateway::believe(int error) {
    soap* const soap = &context;
    const SOAP_ENV__Fault* const fault = error ? soap->fault : nullptr;
    const bank__BankApiFault* const detail = fault && fault->detail ? fault->detail->bank__BankApiFault_ : nullptr;
    if (error && !detail) fail();
    prove();
    if (detail) throw Fault(*detail);
}

/** The plugin verifies that what the references name was not changed; this says what they must name, and where. */
void Gateway::prove() {
    soap* const soap = &context;
    // A DOM of its own: in that of soap_wsse_verify_auto the elements that the proxy does not know have no names.
    Context reader(SOAP_C_UTFSTRING | SOAP_XML_TREE);
    soap_dom_element envelope(&reader);
    std::istringstream bytes(received);
    bytes >> envelope;
    require(reader.error == SOAP_OK, "not well-formed");
    soap->dom = &envelope;
    const soap_dom_element& header = only(envelope, SOAP, "Header");
    const soap_dom_element& exchange = only(header, BANKAPI, "Exchange");
    const soap_dom_element& security = only(header, WSSE, "Security");
    const soap_dom_element& info = only(only(security, DS, "Signature"), DS, "SignedInfo");
    // The plugin takes the references from Security and verifies the document's first SignedInfo, wherever that is.
    require(count(envelope, "SignedInfo") == 1, "two signatures");
    for (const std::string& algorithm : values(info, "Algorithm")) require(ALGORITHMS.count(algorithm), algorithm);
    const std::set<std::string> references = values(info, "URI");
    for (const auto* part : {&only(envelope, SOAP, "Body"), &exchange, &only(security, WSU, "Timestamp")})
        require(references.count("#" + wsu_id(*part)), std::string(part->name) + " is not signed");
    const std::string id = text(only(exchange, BANKAPI, "ExchangeId"));
    const std::string digest = text(only(exchange, BANKAPI, "RequestDigest"));

    // By the gateway's key alone; the certificate inside the message is never asked.
    if (soap_wsse_verify_SignatureValue(soap, SOAP_SMD_VRFY_RSA_SHA256, gateway_key.get(), 0) ||
        soap_wsse_verify_SignedInfo(soap) || soap_wsse_verify_Timestamp(soap))
        fail();
    require(digest == sha256_base64(sent.substr(sent.find("\r\n\r\n") + 4)), "the answer is to another request");
    exchange_id = id;
}

/** gSOAP's own words for what went wrong. */
void Gateway::fail() {
    char words[1000] = "";
    soap_sprint_fault(&context, words, sizeof words);
    throw NotProven(words);
}

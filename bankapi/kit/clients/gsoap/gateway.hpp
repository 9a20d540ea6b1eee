// The gateway as a bank calls it: gSOAP's generated proxy over mutual TLS. Requests are signed by gSOAP's wsse plugin;
// an answer or a fault is believed only when the gateway signed it as the answer to this very request.
#pragma once

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include "soapBankApiSoap11Proxy.h"

/** A technical no, proven like an answer: the message was not processed, and `detail.Retry` says what to do next. */
struct Fault : std::runtime_error {
    explicit Fault(const bank__BankApiFault& detail) : std::runtime_error("a SOAP fault"), detail(detail) {}
    const bank__BankApiFault& detail;  // Until the next call.
};

/** No answer came, or it does not prove itself: nothing is known of the request. */
struct NotProven : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** gSOAP's context, which frees what it holds; gSOAP's own destructor does not. */
struct Context : soap {
    explicit Context(soap_mode mode) : soap(mode) {}
    ~Context() {
        soap_destroy(this);
        soap_end(this);
    }
};

/** One per thread. What an answer or a fault holds lives until the next call. */
class Gateway {
    using Proxy = BankApiSoap11Proxy;

public:
    /** Files in PEM; `gateway_certificate` is the one that the gateway signs with. */
    Gateway(const std::string& url, const std::string& certificate, const std::string& key, const std::string& ca,
            const std::string& gateway_certificate);
    Gateway(const Gateway&) = delete;

    /** `call(&Proxy::send_Ping, &Proxy::recv_Ping, request, answer)`, as gSOAP halves every operation; throws Fault or
        NotProven. In between are the bytes: what is read from them is believed only after they are proven. */
    template <class Request, class Answer>
    void call(int (Proxy::*send)(const char*, const char*, Request*), int (Proxy::*read)(Answer&), Request& request,
              Answer& answer) {
        sign();
        if ((proxy.*send)(nullptr, nullptr, &request)) fail();
        receive();
        std::istringstream bytes(received);
        context.is = &bytes;
        const int error = (proxy.*read)(answer);
        context.is = nullptr;
        believe(error);
    }

    /** What the operator finds the last exchange by; "" when its answer was not believed. */
    std::string exchange_id;

    /** Only to show what a signature is for: the amount to change after signing. */
    std::string amount_to_forge;

private:
    void sign();
    void receive();
    void believe(int error);
    void prove();
    [[noreturn]] void fail();
    static int send_bytes(soap* context, const char* bytes, size_t length);

    Context context;
    Proxy proxy;
    std::string certificate;
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key, gateway_key;
    std::string sent, received;
    int (*send_over_tls)(soap*, const char*, size_t);
};

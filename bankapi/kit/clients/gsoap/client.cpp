// A bank's client in C++: gSOAP's proxy and wsse plugin, the published WSDL file, and OpenSSL.
//
//   make WSDL=bankapi-v1.wsdl
//   build/client --url https://localhost:8443/soap/v1 --cert cert.pem --key key.pem --ca ca.pem
//       --gateway-cert signing-cert.pem --reference MY-1 validate register
//
// Copy `gateway.hpp` and `gateway.cpp`; this shows each operation once. Every step prints one JSON object. Exit code 1
// is a SOAP fault, 3 an answer that does not prove itself or no answer at all. --wsdl is read by `make`, not here.

#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <sstream>
#include <vector>

#include "gateway.hpp"
#include "json.hpp"

namespace {

using Proxy = BankApiSoap11Proxy;
using Options = std::map<std::string, std::string>;

/** A Gateway call, and the answer as JSON. */
template <class Request, class Answer>
std::string answer(Gateway& gateway, int (Proxy::*send)(const char*, const char*, Request*),
                   int (Proxy::*read)(Answer&), Request& request) {
    Answer found;
    gateway.call(send, read, request, found);
    return json(found);
}

bank__PositiveAmount rub(const std::string& amount) {
    bank__PositiveAmount rub;
    rub.__item = amount;  // A text, with as many decimals as the currency has: never a double.
    rub.currency = "RUB";
    return rub;
}

std::string perform(Gateway& gateway, const std::string& step, Options& o) {
    bank__Payer payer;
    payer.Msisdn = &o["msisdn"];
    bank__PositiveAmount amount = rub(o["amount"]);
    bank__GetPaymentStatusRequest status;
    status.Reference = &o["reference"];
    bank__RegisterPaymentRequest payment;
    payment.Reference = o["reference"];
    payment.Payer = &payer;
    payment.Amount = &amount;
    payment.PaidAt = "2026-03-01T12:00:00+03:00";  // The same in every repetition of a request.

    if (step == "ping") {
        bank__PingRequest request;
        return answer(gateway, &Proxy::send_Ping, &Proxy::recv_Ping, request);
    }
    if (step == "validate") {
        bank__ValidatePaymentRequest request;
        request.Payer = &payer;
        request.Amount = &amount;
        return answer(gateway, &Proxy::send_ValidatePayment, &Proxy::recv_ValidatePayment, request);
    }
    if (step == "register") return answer(gateway, &Proxy::send_RegisterPayment, &Proxy::recv_RegisterPayment, payment);
    if (step == "conflict") {
        amount.__item = "1" + amount.__item;
        return answer(gateway, &Proxy::send_RegisterPayment, &Proxy::recv_RegisterPayment, payment);
    }
    if (step == "tamper") {
        gateway.amount_to_forge = o["amount"];
        return answer(gateway, &Proxy::send_RegisterPayment, &Proxy::recv_RegisterPayment, payment);
    }
    if (step == "status") return answer(gateway, &Proxy::send_GetPaymentStatus, &Proxy::recv_GetPaymentStatus, status);
    if (step == "violate") {
        std::string reference = "no spaces allowed";
        status.Reference = &reference;
        return answer(gateway, &Proxy::send_GetPaymentStatus, &Proxy::recv_GetPaymentStatus, status);
    }
    if (step == "balance") {
        bank__GetBalanceRequest request;
        request.Payer = &payer;
        return answer(gateway, &Proxy::send_GetBalance, &Proxy::recv_GetBalance, request);
    }
    if (step == "statement") {
        bank__GetMiniStatementRequest request;
        request.Payer = &payer;
        return answer(gateway, &Proxy::send_GetMiniStatement, &Proxy::recv_GetMiniStatement, request);
    }
    if (step == "cancel") {
        bank__CancelPaymentRequest request;
        request.Reference = &o["reference"];
        request.Amount = &amount;
        request.Reason = "CUSTOMER_REQUEST";
        return answer(gateway, &Proxy::send_CancelPayment, &Proxy::recv_CancelPayment, request);
    }
    if (step == "transactions") {
        std::string page_size = "500";
        bank__GetTransactionReportRequest request;
        request.From = request.To = o["day"];
        request.Event.push_back("REGISTERED");
        request.PageSize = &page_size;
        return answer(gateway, &Proxy::send_GetTransactionReport, &Proxy::recv_GetTransactionReport, request);
    }
    if (step == "totals") {
        bank__GetFinancialReportRequest request;
        request.From = request.To = o["day"];
        return answer(gateway, &Proxy::send_GetFinancialReport, &Proxy::recv_GetFinancialReport, request);
    }
    if (step == "submit") {
        bank__RegisterRow row;
        row.Reference = o["reference"];
        row.Status = bank__RowStatus__REGISTERED;
        row.Amount = &amount;
        bank__SubmitRegisterRequest request;
        request.RegisterReference = o["reference"];
        request.BusinessDay = o["day"];
        request.RowCount = request.Part = request.Parts = "1";
        request.HashTotal = o["amount"];
        request.Row.push_back(&row);
        return answer(gateway, &Proxy::send_SubmitRegister, &Proxy::recv_SubmitRegister, request);
    }
    if (step == "reconciliation") {
        bank__GetReconciliationRequest request;
        request.RegisterReference = o["reference"];
        return answer(gateway, &Proxy::send_GetReconciliation, &Proxy::recv_GetReconciliation, request);
    }
    throw std::invalid_argument("no such step: " + step);
}

std::string today() {
    const std::time_t now = std::time(nullptr);
    char day[11];
    std::strftime(day, sizeof day, "%Y-%m-%d", std::localtime(&now));
    return day;
}

}  // namespace

int main(int count, char** arguments) {
    Options o = {{"msisdn", "79160000001"}, {"amount", "100.00"}, {"day", today()}};
    std::vector<std::string> steps;
    for (int i = 1; i < count; ++i) {
        const std::string argument = arguments[i];
        if (argument.rfind("--", 0) == 0 && i + 1 < count) o[argument.substr(2)] = arguments[++i];
        else steps.push_back(argument);
    }
    int exit_code = 0;
    try {
        Gateway gateway(o["url"], o["cert"], o["key"], o["ca"], o["gateway-cert"]);
        for (const std::string& step : steps) {
            std::string outcome;
            try {
                outcome = "\"answer\": " + perform(gateway, step, o);
            } catch (const Fault& fault) {
                outcome = "\"fault\": " + json(fault.detail);
                exit_code = 1;
            } catch (const NotProven& error) {
                outcome = "\"error\": " + quoted(error.what());
                exit_code = 3;
            }
            gateway.amount_to_forge.clear();
            std::cout << "{\"step\": " << quoted(step) << ", " << outcome
                      << ", \"exchange_id\": " << quoted(gateway.exchange_id) << "}" << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 2;
    }
    return exit_code;
}

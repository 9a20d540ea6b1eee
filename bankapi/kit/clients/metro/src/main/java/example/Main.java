package example;

import bankapi.v1.BankApiFault_Exception;
import bankapi.v1.BankApiPortType;
import bankapi.v1.CancelPaymentRequest;
import bankapi.v1.CancelReason;
import bankapi.v1.Event;
import bankapi.v1.GetBalanceRequest;
import bankapi.v1.GetFinancialReportRequest;
import bankapi.v1.GetMiniStatementRequest;
import bankapi.v1.GetPaymentStatusRequest;
import bankapi.v1.GetReconciliationRequest;
import bankapi.v1.GetTransactionReportRequest;
import bankapi.v1.Payer;
import bankapi.v1.PingRequest;
import bankapi.v1.PositiveAmount;
import bankapi.v1.RegisterPaymentRequest;
import bankapi.v1.RegisterRow;
import bankapi.v1.RowStatus;
import bankapi.v1.SubmitRegisterRequest;
import bankapi.v1.ValidatePaymentRequest;
import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonFormat.Shape;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import com.fasterxml.jackson.module.jakarta.xmlbind.JakartaXmlBindAnnotationModule;
import jakarta.xml.ws.WebServiceException;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import javax.xml.datatype.DatatypeConfigurationException;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;

/**
 * Shows each operation once, and prints one JSON object per step. Exit code 1 is a SOAP fault, 3 an answer that does
 * not prove itself or no answer at all.
 *
 * <pre>
 * java -jar target/bankapi-metro.jar --wsdl bankapi-v1.wsdl --url https://localhost:8443/soap/v1 --cert cert.pem \
 *     --key key.pem --ca ca.pem --gateway-cert signing-cert.pem --reference MY-1 validate register
 * </pre>
 */
public final class Main {
    private final BankApiPortType port;
    private final SentMessage sent;
    private final Map<String, String> options;

    private Main(BankApiPortType port, SentMessage sent, Map<String, String> options) {
        this.port = port;
        this.sent = sent;
        this.options = options;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>(
            Map.of("msisdn", "79160000001", "amount", "100.00", "day", LocalDate.now().toString()));
        List<String> steps = new ArrayList<>();
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i].startsWith("--")) {
                options.put(arguments[i].substring(2), arguments[++i]);
            } else {
                steps.add(arguments[i]);
            }
        }
        BankApiClient.Files files = new BankApiClient.Files(
            Path.of(options.get("wsdl")), Path.of(options.get("cert")), Path.of(options.get("key")),
            Path.of(options.get("ca")), Path.of(options.get("gateway-cert")));
        SentMessage sent = new SentMessage();
        AnswerProof proof = new AnswerProof(sent);
        Main main = new Main(BankApiClient.connect(URI.create(options.get("url")), files, sent, proof), sent, options);

        JsonMapper json = JsonMapper.builder()
            .addModule(new JakartaXmlBindAnnotationModule())
            .addModule(new SimpleModule().addSerializer(XMLGregorianCalendar.class, ToStringSerializer.instance))
            .serializationInclusion(JsonInclude.Include.NON_NULL)
            .withConfigOverride(BigDecimal.class, how -> how.setFormat(JsonFormat.Value.forShape(Shape.STRING)))
            .build();
        int exitCode = 0;
        for (String step : steps) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("step", step);
            try {
                line.put("answer", main.perform(step));
            } catch (BankApiFault_Exception fault) {
                line.put("fault", fault.getFaultInfo());
                exitCode = 1;
            } catch (WebServiceException error) {
                line.put("error", error.toString());
                exitCode = 3;
            }
            line.put("exchange_id", line.containsKey("error") ? "" : proof.exchangeId());
            System.out.write((json.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
        System.exit(exitCode);
    }

    private Object perform(String step) throws Exception {
        return switch (step) {
            case "ping" -> port.ping(new PingRequest());
            case "validate" -> {
                ValidatePaymentRequest request = new ValidatePaymentRequest();
                request.setPayer(payer());
                request.setAmount(rub(options.get("amount")));
                yield port.validatePayment(request);
            }
            case "register" -> port.registerPayment(payment(options.get("amount")));
            case "conflict" -> port.registerPayment(payment("1.23"));
            case "status" -> port.getPaymentStatus(status(options.get("reference")));
            case "violate" -> port.getPaymentStatus(status("no spaces allowed"));
            case "balance" -> {
                GetBalanceRequest request = new GetBalanceRequest();
                request.setPayer(payer());
                yield port.getBalance(request);
            }
            case "statement" -> {
                GetMiniStatementRequest request = new GetMiniStatementRequest();
                request.setPayer(payer());
                yield port.getMiniStatement(request);
            }
            case "cancel" -> {
                CancelPaymentRequest request = new CancelPaymentRequest();
                request.setReference(options.get("reference"));
                request.setAmount(rub(options.get("amount")));
                request.setReason(CancelReason.CUSTOMER_REQUEST);
                yield port.cancelPayment(request);
            }
            case "transactions" -> {
                GetTransactionReportRequest request = new GetTransactionReportRequest();
                request.setFrom(xml(options.get("day")));
                request.setTo(xml(options.get("day")));
                request.getEvent().add(Event.REGISTERED);
                request.setPageSize(500);
                yield port.getTransactionReport(request);
            }
            case "totals" -> {
                GetFinancialReportRequest request = new GetFinancialReportRequest();
                request.setFrom(xml(options.get("day")));
                request.setTo(xml(options.get("day")));
                yield port.getFinancialReport(request);
            }
            case "submit" -> port.submitRegister(registerOfOne());
            case "reconciliation" -> {
                GetReconciliationRequest request = new GetReconciliationRequest();
                request.setRegisterReference(options.get("reference"));
                yield port.getReconciliation(request);
            }
            case "tamper" -> {
                sent.tamper(Main::nineHundredNinetyNine);
                try {
                    yield port.registerPayment(payment("100.00"));
                } finally {
                    sent.tamper(UnaryOperator.identity());
                }
            }
            default -> throw new IllegalArgumentException("no such step: " + step);
        };
    }

    private RegisterPaymentRequest payment(String amount) throws DatatypeConfigurationException {
        RegisterPaymentRequest request = new RegisterPaymentRequest();
        request.setReference(options.get("reference"));
        request.setPayer(payer());
        request.setAmount(rub(amount));
        request.setPaidAt(xml("2026-03-01T12:00:00+03:00"));
        return request;
    }

    private SubmitRegisterRequest registerOfOne() throws DatatypeConfigurationException {
        RegisterRow row = new RegisterRow();
        row.setReference(options.get("reference"));
        row.setStatus(RowStatus.REGISTERED);
        row.setAmount(rub(options.get("amount")));
        SubmitRegisterRequest request = new SubmitRegisterRequest();
        request.setRegisterReference(options.get("reference"));
        request.setBusinessDay(xml(options.get("day")));
        request.setRowCount(1);
        request.setHashTotal(new BigDecimal(options.get("amount")));
        request.setPart(1);
        request.setParts(1);
        request.getRow().add(row);
        return request;
    }

    private Payer payer() {
        Payer payer = new Payer();
        payer.setMsisdn(options.get("msisdn"));
        return payer;
    }

    private static PositiveAmount rub(String amount) {
        PositiveAmount rub = new PositiveAmount();
        rub.setValue(new BigDecimal(amount)); // of a text: a double loses digits
        rub.setCurrency("RUB");
        return rub;
    }

    /** A day without a time zone, or a time with one: either as XML writes it. */
    private static XMLGregorianCalendar xml(String time) throws DatatypeConfigurationException {
        return DatatypeFactory.newInstance().newXMLGregorianCalendar(time);
    }

    private static GetPaymentStatusRequest status(String reference) {
        GetPaymentStatusRequest request = new GetPaymentStatusRequest();
        request.setReference(reference);
        return request;
    }

    private static byte[] nineHundredNinetyNine(byte[] request) {
        String text = new String(request, StandardCharsets.UTF_8);
        return text.replace(">100.00<", ">999.00<").getBytes(StandardCharsets.UTF_8);
    }
}

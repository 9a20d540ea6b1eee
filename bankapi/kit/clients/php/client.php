<?php
/**
 * A bank's client in PHP: SoapClient with the published WSDL file; xmlseclibs signs requests and checks answers.
 *
 *     composer install
 *     php client.php --wsdl bankapi-v1.wsdl --url https://localhost:8443/soap/v1 --cert cert.pem --key key.pem \
 *         --ca ca.pem --gateway-cert signing-cert.pem --reference MY-1 validate register
 *
 * Copy `BankApi`; the rest shows each operation once. Every step prints one JSON object. Exit code 1 is a SOAP fault,
 * 3 an answer that does not prove itself or no answer at all.
 */

declare(strict_types=1);

require __DIR__ . '/vendor/autoload.php';

use RobRichards\XMLSecLibs\XMLSecurityDSig;
use RobRichards\XMLSecLibs\XMLSecurityKey;

const NS = 'urn:bankapi:v1';
const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';
const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
const WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const MESSAGE_SECURITY = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0';
const X509V3 = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3';
const ALGORITHMS = [XMLSecurityDSig::EXC_C14N, XMLSecurityKey::RSA_SHA256, XMLSecurityDSig::SHA256];

/** What came back is not what the gateway signed as the answer to this request. Whether it was performed is unknown. */
final class NotTrusted extends RuntimeException
{
}

/** Signs Body and Timestamp with our key, and lets SoapClient read only what the gateway signed as the answer. */
final class BankApi extends SoapClient
{
    public string $exchangeId = '';
    /** Only for the step `tamper`: change this amount after signing. */
    public string $amountToForge = '';
    private string $certificate;
    private XMLSecurityKey $key;
    private XMLSecurityKey $gatewayKey;

    /** @param array<string, string> $files wsdl, cert, key, ca and gateway-cert, the certificates as PEM */
    public function __construct(array $files, string $url)
    {
        $this->certificate = XMLSecurityDSig::get509XCert(file_get_contents($files['cert']));
        $this->key = new XMLSecurityKey(XMLSecurityKey::RSA_SHA256, ['type' => 'private']);
        $this->key->loadKey($files['key'], isFile: true);
        // Our own choice of key and algorithm; what the message says of either is never asked.
        $this->gatewayKey = new XMLSecurityKey(XMLSecurityKey::RSA_SHA256, ['type' => 'public']);
        $this->gatewayKey->loadKey($files['gateway-cert'], isFile: true, isCert: true);
        $tls = [
            'local_cert' => $files['cert'],
            'local_pk' => $files['key'],
            'cafile' => $files['ca'],
            'verify_peer' => true,
            'verify_peer_name' => true,
        ];
        parent::__construct($files['wsdl'], [
            'location' => $url, // Instead of the WSDL's example.
            'stream_context' => stream_context_create(['ssl' => $tls]),
            'connection_timeout' => 10, // Seconds; for the answer it is default_socket_timeout in php.ini.
            'features' => SOAP_SINGLE_ELEMENT_ARRAYS,
            // As its text: raw bytes are no JSON.
            'typemap' => [[
                'type_ns' => 'http://www.w3.org/2001/XMLSchema',
                'type_name' => 'base64Binary',
                'from_xml' => strip_tags(...),
            ]],
            'cache_wsdl' => WSDL_CACHE_MEMORY, // By default a copy in /tmp serves for a day.
        ]);
    }

    public function __doRequest(
        string $request,
        string $location,
        string $action,
        int $version,
        bool $oneWay = false,
    ): ?string {
        $this->exchangeId = '';
        $sent = $this->signed($request);
        if ($this->amountToForge !== '') {
            $sent = str_replace(">$this->amountToForge<", '>999.00<', $sent);
        }
        $answer = parent::__doRequest($sent, $location, $action, $version, $oneWay);
        if ($answer === null) {
            return null; // SoapClient throws its SoapFault of code HTTP.
        }
        try {
            return $this->proven($answer, $sent);
        } catch (Exception $reason) {
            throw new NotTrusted('the answer is not trusted: ' . $reason->getMessage(), 0, $reason);
        }
    }

    private function signed(string $request): string
    {
        $document = new DOMDocument();
        $document->loadXML($request);
        $body = only($document->documentElement, SOAP, 'Body');
        $token = XMLSecurityDSig::generateGUID('X509-');
        $created = gmdate('Y-m-d\TH:i:s\Z');
        $expires = gmdate('Y-m-d\TH:i:s\Z', time() + 300);
        $header = $document->createDocumentFragment();
        $header->appendXML(
            '<soap:Header xmlns:soap="' . SOAP . '" xmlns:wsse="' . WSSE . '" xmlns:wsu="' . WSU . '">'
            . '<wsse:Security soap:mustUnderstand="1">'
            . "<wsu:Timestamp><wsu:Created>$created</wsu:Created><wsu:Expires>$expires</wsu:Expires></wsu:Timestamp>"
            . "<wsse:BinarySecurityToken wsu:Id=\"$token\" ValueType=\"" . X509V3 . '"'
            . ' EncodingType="' . MESSAGE_SECURITY . "#Base64Binary\">$this->certificate</wsse:BinarySecurityToken>"
            . '</wsse:Security></soap:Header>'
        );
        $body->parentNode->insertBefore($header, $body);
        $security = only(only($document->documentElement, SOAP, 'Header'), WSSE, 'Security');

        $signature = new XMLSecurityDSig();
        $signature->setCanonicalMethod(XMLSecurityDSig::EXC_C14N);
        $parts = [only($security, WSU, 'Timestamp'), $body];
        $signature->addReferenceList($parts, XMLSecurityDSig::SHA256, null, ['prefix' => 'wsu', 'prefix_ns' => WSU]);
        $signature->sign($this->key, $security);
        $keyInfo = $document->createDocumentFragment();
        $keyInfo->appendXML(
            '<ds:KeyInfo xmlns:ds="' . XMLSecurityDSig::XMLDSIGNS . '" xmlns:wsse="' . WSSE . '">'
            . "<wsse:SecurityTokenReference><wsse:Reference URI=\"#$token\" ValueType=\"" . X509V3 . '"/>'
            . '</wsse:SecurityTokenReference></ds:KeyInfo>'
        );
        only($security, XMLSecurityDSig::XMLDSIGNS, 'Signature')->appendChild($keyInfo);
        return $document->saveXML();
    }

    /** The answer's Body in an envelope of its own, as the bytes that were signed; throws when it proves nothing. */
    private function proven(string $answer, string $sent): string
    {
        $document = new DOMDocument();
        must($answer !== '' && @$document->loadXML($answer, LIBXML_NONET), 'not well-formed');
        must($document->doctype === null, 'a DOCTYPE'); // Ids by entities are seen by some and not by others.
        // The parts by their position, not by a search: a signed Body somewhere else is not the Body.
        $envelope = $document->documentElement;
        must($envelope->namespaceURI === SOAP && $envelope->localName === 'Envelope', 'not an envelope');
        $body = only($envelope, SOAP, 'Body');
        $header = only($envelope, SOAP, 'Header');
        $exchange = only($header, NS, 'Exchange');
        $security = only($header, WSSE, 'Security');
        $timestamp = only($security, WSU, 'Timestamp');

        $signature = new XMLSecurityDSig();
        $signature->sigNode = only($security, XMLSecurityDSig::XMLDSIGNS, 'Signature');
        $signature->idKeys = ['wsu:Id'];
        $signature->idNS = ['wsu' => WSU];
        foreach ((new DOMXPath($document))->query('.//@Algorithm', $signature->sigNode) as $algorithm) {
            must(in_array($algorithm->value, ALGORITHMS, true), 'an algorithm that the contract does not have');
        }
        // First who signed, then what: until the signature holds, the references are anybody's.
        must((bool) $signature->canonicalizeSignedInfo(), 'no SignedInfo');
        must($signature->verify($this->gatewayKey) === 1, 'the gateway did not sign it'); // An error is -1.
        $signature->validateReference(); // Throws when what was signed was changed.
        foreach ([$body, $exchange, $timestamp] as $part) {
            must(in_array($part, $signature->getValidatedNodes(), true), "$part->localName is not signed");
        }

        $digest = base64_decode(only($exchange, NS, 'RequestDigest')->textContent, true);
        must($digest === hash('sha256', $sent, true), 'the answer is to another request');
        $this->exchangeId = only($exchange, NS, 'ExchangeId')->textContent;
        return '<soap:Envelope xmlns:soap="' . SOAP . '">' . $body->C14N(exclusive: true) . '</soap:Envelope>';
    }
}

/** The one child of this name. */
function only(DOMElement $parent, string $namespace, string $name): DOMElement
{
    $named = fn (DOMNode $node): bool => $node->namespaceURI === $namespace && $node->localName === $name;
    $found = array_values(array_filter(iterator_to_array($parent->childNodes), $named));
    must(count($found) === 1, count($found) . " of $name in $parent->localName");
    return $found[0];
}

function must(bool $holds, string $otherwise): void
{
    if (!$holds) {
        throw new UnexpectedValueException($otherwise);
    }
}

/** @param array<string, string> $o */
function perform(BankApi $client, string $step, array $o): object
{
    $payer = ['Msisdn' => $o['msisdn']];
    $rub = fn (string $amount): array => ['_' => $amount, 'currency' => 'RUB']; // Texts: a float loses digits.
    $payment = ['Reference' => $o['reference'], 'Payer' => $payer, 'Amount' => $rub($o['amount'])];
    $payment['PaidAt'] = '2026-03-01T12:00:00+03:00'; // The same in every repetition of a request.
    $period = ['From' => $o['day'], 'To' => $o['day']];
    $client->amountToForge = $step === 'tamper' ? $o['amount'] : '';
    return match ($step) {
        'ping' => $client->Ping([]),
        'validate' => $client->ValidatePayment(['Payer' => $payer, 'Amount' => $rub($o['amount'])]),
        'register', 'tamper' => $client->RegisterPayment($payment),
        'conflict' => $client->RegisterPayment(['Amount' => $rub('1.23')] + $payment),
        'status' => $client->GetPaymentStatus(['Reference' => $o['reference']]),
        'balance' => $client->GetBalance(['Payer' => $payer]),
        'statement' => $client->GetMiniStatement(['Payer' => $payer]),
        'cancel' => $client->CancelPayment(
            ['Reference' => $o['reference'], 'Amount' => $rub($o['amount']), 'Reason' => 'CUSTOMER_REQUEST'],
        ),
        'transactions' => $client->GetTransactionReport($period + ['Event' => ['REGISTERED'], 'PageSize' => 500]),
        'totals' => $client->GetFinancialReport($period),
        'submit' => $client->SubmitRegister([ // A whole register in one part: one row, and its totals.
            'RegisterReference' => $o['reference'],
            'BusinessDay' => $o['day'],
            'RowCount' => 1,
            'HashTotal' => $o['amount'],
            'Part' => 1,
            'Parts' => 1,
            'Row' => [['Reference' => $o['reference'], 'Status' => 'REGISTERED', 'Amount' => $rub($o['amount'])]],
        ]),
        'reconciliation' => $client->GetReconciliation(['RegisterReference' => $o['reference']]),
        'violate' => $client->GetPaymentStatus(['Reference' => 'no spaces allowed']),
    };
}

/** @param list<string> $arguments */
function main(array $arguments): int
{
    $required = ['wsdl', 'url', 'cert', 'key', 'ca', 'gateway-cert', 'reference'];
    $optional = ['msisdn' => '79160000001', 'amount' => '100.00', 'day' => date('Y-m-d')]; // The day of your dealer.
    $names = [...$required, ...array_keys($optional)];
    $given = getopt('', array_map(fn (string $name): string => "$name:", $names), $rest);
    $steps = array_slice($arguments, $rest);
    if (array_diff($required, array_keys($given)) !== [] || $steps === []) {
        fwrite(STDERR, 'usage: php client.php --' . implode(' … --', $names) . " … STEPS\n");
        return 2;
    }
    $o = $given + $optional;
    $client = new BankApi($o, $o['url']);
    $exitCode = 0;
    foreach ($steps as $step) {
        $line = ['step' => $step];
        try {
            $line['answer'] = perform($client, $step, $o);
        } catch (SoapFault | NotTrusted $error) {
            // SoapClient speaks of itself in SoapFaults, too (HTTP: no answer); only the gateway's have this detail.
            $fault = $error->detail->BankApiFault ?? null;
            $line += $fault === null ? ['error' => $error->getMessage()] : ['fault' => $fault];
            $exitCode = $fault === null ? 3 : 1;
        }
        $line['exchange_id'] = $client->exchangeId;
        echo json_encode($line, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE), "\n";
    }
    return $exitCode;
}

exit(main($argv));

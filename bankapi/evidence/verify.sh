#!/bin/sh
# Verifies the exchanges in this folder with xmlsec1 and openssl alone; README.txt says what each step means. One that
# has a receipt.txt needs no xmlsec1.
#
#     sh verify.sh [CA.pem]
#
# Prints one line per step and at last PROVED (exit 0) or NOT PROVED (exit 1). Give the operator's CA certificate as
# you got it from the operator; without it the copy in this folder is believed. Nothing but a POSIX shell, xmlsec1,
# openssl and the usual small tools (base64, cat, cut, dirname, head, mktemp, od, rm, sha256sum, tail, tr) is used.

set -u
LC_ALL=C
# No certificate authority but the one that is named below.
SSL_CERT_FILE=/dev/null
SSL_CERT_DIR=/dev/null
export LC_ALL SSL_CERT_FILE SSL_CERT_DIR

ca=ca.pem
if [ $# -gt 0 ]; then
    case $1 in
        /*) ca=$1 ;;
        *) ca=$PWD/$1 ;;
    esac
fi
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
# From release 1.3 on, xmlsec1 takes a given certificate for a signature that names its own only when told so.
lax=
case $(xmlsec1 --version 2>/dev/null) in
    "xmlsec1 1.2."*) ;;
    *) lax=--lax-key-search ;;
esac

step() { # what it shows, then a command that shows it
    what=$1
    shift
    if "$@"; then
        echo "ok      $what"
    else
        echo "FAILED  $what"
        failed=1
    fi
}

digest() { sha256sum "$1" 2>/dev/null | cut -c 1-64; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
der() { openssl x509 -in "$1" -outform DER 2>/dev/null; }
fingerprint() { der "$1" | sha256sum | cut -c 1-64; }

files_unchanged() { # every line of SHA256SUMS; `sha256sum -c` passes over lines that it cannot read
    [ -s SHA256SUMS ] || return 1
    while IFS= read -r line || [ -n "$line" ]; do
        name=${line#*  }
        same "$line" "$(digest "$name")  $name" || return 1
    done <SHA256SUMS
}

seconds() { # since 1970, of an instant like 2026-03-01T09:00:00.000000Z (the civil calendar, in whole numbers)
    case $1 in
        [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*Z) ;;
        *) return 1 ;;
    esac
    rest=$1
    year=${rest%%-*}; rest=${rest#*-}
    month=${rest%%-*}; rest=${rest#*-}
    day=${rest%%T*}; rest=${rest#*T}
    hour=${rest%%:*}; rest=${rest#*:}
    minute=${rest%%:*}; rest=${rest#*:}
    second=${rest%%[.Z]*}
    month=${month#0}; day=${day#0}; hour=${hour#0}; minute=${minute#0}; second=${second#0}
    if [ "$month" -le 2 ]; then year=$((year - 1)); month=$((month + 9)); else month=$((month - 3)); fi
    era=$((year / 400)); of_era=$((year - era * 400))
    day_of_era=$((of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1))
    echo $((((era * 146097 + day_of_era - 719468) * 24 + hour) * 3600 + minute * 60 + second))
}

issued() { # certificate, instant
    at=$(seconds "$2") && openssl verify -attime "$at" -CAfile "$ca" "$1" >/dev/null 2>&1
}

tags() { tr '\r\n\t' '   ' <"$1" | tr '<' '\n'; }

look() { # message: which elements may be referred to, how often what must be single occurs, and its token
    ids= bodies=0 signatures=0 token=
    while IFS= read -r line || [ -n "$line" ]; do
        name=${line%%[ />]*}
        name=${name##*:}
        case $name in
            '' | *[!A-Za-z0-9_.-]*) continue ;;
            Body) case $line in /*) ;; *) bodies=$((bodies + 1)) ;; esac ;;
            Signature) case $line in /*) ;; *) signatures=$((signatures + 1)) ;; esac ;;
            BinarySecurityToken) [ -n "$token" ] || token=$(printf '%s' "${line#*>}" | tr -d ' ') ;;
        esac
        case $line in
            *Id*) case " $ids " in *" --id-attr:Id $name "*) ;; *) ids="$ids --id-attr:Id $name" ;; esac ;;
        esac
    done <"$work/tags"
}

signed() { # message, certificate: the signature holds, and what it covers is kept
    tags "$1" >"$work/tags"
    look "$1"
    signed_body= signed_exchange=
    [ "$bodies" = 1 ] && [ "$signatures" = 1 ] || return 1
    # shellcheck disable=SC2086  # the names hold nothing that a shell would change
    xmlsec1 --verify $lax $ids --enabled-reference-uris same-doc --store-references --print-debug \
        --pubkey-cert-pem "$2" "$1" >"$work/covered" 2>/dev/null || return 1
    inside=
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            '== PreDigest data - start buffer:') inside=first ;;
            '== PreDigest data - end buffer') inside= ;;
            *)
                if [ "$inside" = first ]; then
                    inside=${line%%[ >]*}
                    inside=${inside#<}
                    inside=${inside##*:}
                fi
                case $inside in
                    Body) signed_body="$signed_body$line " ;;
                    Exchange) signed_exchange="$signed_exchange$line " ;;
                esac
                ;;
        esac
    done <"$work/covered"
    [ -n "$signed_body" ]
}

carried() { # certificate: the one that the message looked at last carries, if it carries one
    [ -z "$token" ] || same "$(der "$1" | base64 | tr -d '\n')" "$token"
}

part() { # name, text: what stands in the first element of that name
    rest=${2#*"$1"}
    [ "$rest" != "$2" ] || return 1
    rest=${rest#*>}
    echo "${rest%%<*}"
}

answers_it() { # the signed header of the answer names this exchange and the request's bytes
    same "$(part ExchangeId "$signed_exchange")" "$exchange_id" || return 1
    digest_sent=$(openssl dgst -sha256 -binary request.xml | base64 | tr -d '\n')
    same "$(part RequestDigest "$signed_exchange")" "$digest_sent"
}

exact() { same "$(printf '%s' "$1" | base64 -d 2>/dev/null | base64 | tr -d '\n')" "$1"; }

hashed() { openssl dgst -sha256 -binary | base64 | tr -d '\n'; }

included() { # leaf.txt is under the root in checkpoint.txt by proof.txt (RFC 9162 section 2.1.3), with no byte beside it
    found=$({ printf '\000'; cat leaf.txt; } | hashed)
    : >"$work/path"
    while read -r side sibling; do
        printf '%s %s\n' "$side" "$sibling" >>"$work/path"
        exact "$sibling" || return 1
        case $side in
            L) left=$sibling right=$found ;;
            R) left=$found right=$sibling ;;
            *) return 1 ;;
        esac
        found=$({ printf '\001'; printf '%s' "$left" | base64 -d; printf '%s' "$right" | base64 -d; } | hashed)
    done <proof.txt
    same "$(digest "$work/path")" "$(digest proof.txt)" && same "$found" "$root"
}

note() { # checkpoint.txt has the form of one, and no byte beside it
    { IFS= read -r origin && read -r size && read -r root && IFS= read -r signed_at && IFS= read -r empty &&
        read -r dash name signature; } <checkpoint.txt || return 1
    printf '%s\n%s\n%s\n%s\n\n— %s %s\n' "$origin" "$size" "$root" "$signed_at" "$origin" "$signature" >"$work/note"
    same "$(digest "$work/note")" "$(digest checkpoint.txt)" && exact "$root" && exact "$signature"
}

checkpoint_signed() {
    head -n 4 checkpoint.txt >"$work/text"
    text_signed checkpoint-cert.pem
}

text_signed() { # certificate: its key has made the signature of the text that was looked at last
    printf '%s' "$signature" | base64 -d | tail -c +5 >"$work/signature"
    key_id=$(printf '%s' "$signature" | base64 -d | head -c 4 | od -An -tx1 | tr -d ' \n')
    same "$key_id" "$(fingerprint "$1" | cut -c 1-8)" || return 1
    openssl x509 -in "$1" -pubkey -noout >"$work/key.pem" 2>/dev/null || return 1
    # Not `openssl dgst -verify`: that passes over bytes that follow an RSA signature.
    openssl dgst -sha256 -binary "$work/text" >"$work/hash"
    openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -pkeyopt digest:sha256 -in "$work/hash" \
        -sigfile "$work/signature" >/dev/null 2>&1
}

receipt() { # receipt.txt has the form of one, and no byte beside it
    stage=first signed_line=
    : >"$work/text"
    while IFS= read -r line; do
        case $stage in
            first) [ "$line" = bankapi-receipt-v1 ] || return 1; stage=text ;;
            text)
                case $line in
                    '') stage=signature; continue ;;
                    'exchange '*) named_exchange=${line#* } ;;
                    'tls-certificate '*) named_channel=${line#* } ;;
                    'request '*) named_request=${line#* } ;;
                    'answer '*) named_answer=${line#* } ;;
                esac
                ;;
            signature) signed_line=$line; stage=end; continue ;;
            end) return 1 ;;
        esac
        printf '%s\n' "$line" >>"$work/text"
    done <receipt.txt
    signature=${signed_line##* }
    { cat "$work/text"; printf '\n%s\n' "$signed_line"; } >"$work/note"
    same "$(digest "$work/note")" "$(digest receipt.txt)" && exact "$signature"
}

receipt_signed() {
    text_signed gateway-cert.pem && cat "$work/text" >"$work/said"
}

receipt_names() { # this exchange, its sender, and the copies of the request and the answer
    same "$named_exchange" "$exchange_id" && same "$named_channel" "$channel" &&
        same "$named_request" "$(digest request.xml)" && same "$named_answer" "$(digest answer.xml)"
}

both() { cat receipt.txt answer.xml >"$work/both" && digest "$work/both"; }

leaf() { # leaf.txt has its twelve lines
    lines=0
    while IFS= read -r line; do
        lines=$((lines + 1))
        case $lines in
            1) [ "$line" = bankapi-exchange-v1 ] || return 1 ;;
            2) exchange_id=$line ;;
            3) received_at=$line ;;
            4) answered_at=$line ;;
            9) channel=$line ;;
            10) signer=$line ;;
            11) request_digest=$line ;;
            12) answer_digest=$line ;;
        esac
    done <leaf.txt
    [ $lines = 12 ]
}

prove() {
    exchange_id= received_at= answered_at= channel= signer= request_digest= answer_digest=
    root= signature= signed_at=
    step "leaf.txt is the record of one exchange" leaf
    step "it names the bytes of request.xml" same "$request_digest" "$(digest request.xml)"
    if [ -f receipt.txt ]; then prove_receipt; else prove_signatures; fi
    step "checkpoint.txt is a checkpoint" note
    step "the CA had issued checkpoint-cert.pem when it was signed" issued checkpoint-cert.pem "${signed_at#signed-at }"
    step "the key of checkpoint-cert.pem has signed it" checkpoint_signed
    step "proof.txt leads from leaf.txt to its root" included
    if [ -f receipt.txt ]; then
        echo "        no terminal signed anything; the gateway signed:"
        while IFS= read -r line; do echo "          $line"; done <"$work/said"
    else
        echo "        the terminal signed: $request_body"
        echo "        the gateway signed:  $signed_body"
    fi
}

prove_signatures() {
    step "it names the bytes of answer.xml" same "$answer_digest" "$(digest answer.xml)"
    step "it names terminal-cert.pem as the signer of the request" same "$signer" "$(fingerprint terminal-cert.pem)"
    step "the CA had issued terminal-cert.pem when the request came" issued terminal-cert.pem "$received_at"
    step "the CA had issued gateway-cert.pem when the answer went" issued gateway-cert.pem "$answered_at"
    step "the key of terminal-cert.pem has signed the Body of request.xml" signed request.xml terminal-cert.pem
    step "request.xml carries no other certificate" carried terminal-cert.pem
    request_body=$signed_body
    step "the key of gateway-cert.pem has signed the Body of answer.xml" signed answer.xml gateway-cert.pem
    step "answer.xml carries no other certificate" carried gateway-cert.pem
    step "the signed header of answer.xml names this exchange and these bytes of request.xml" answers_it
}

prove_receipt() {
    named_exchange= named_channel= named_request= named_answer=
    : >"$work/said"
    step "it names the bytes of receipt.txt and answer.xml" same "$answer_digest" "$(both)"
    step "it names no signer of the request" same "$signer" -
    step "it names channel-cert.pem as the sender's TLS certificate" same "$channel" "$(fingerprint channel-cert.pem)"
    step "the CA had issued channel-cert.pem when the request came" issued channel-cert.pem "$received_at"
    step "the CA had issued gateway-cert.pem when the answer went" issued gateway-cert.pem "$answered_at"
    step "receipt.txt is a receipt" receipt
    step "the key of gateway-cert.pem has signed it" receipt_signed
    step "it names this exchange, its sender, request.xml and answer.xml" receipt_names
}

step "every file is as it was exported" files_unchanged
echo "        the CA is $ca, SHA-256 $(fingerprint "$ca")"
prove
if [ -d cancellation ]; then
    case $ca in ca.pem) ca=../ca.pem ;; esac
    echo "        the cancellation:"
    cd cancellation && prove || failed=1
fi
if [ $failed = 0 ]; then
    echo PROVED
    exit 0
fi
echo "NOT PROVED"
exit 1

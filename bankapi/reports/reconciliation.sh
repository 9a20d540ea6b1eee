#!/bin/sh
# Verifies the reconciliation in this folder with openssl alone; README.txt says what each step means.
#
#     sh verify.sh [CERT.pem]
#
# Prints one line per step and at last PROVED (exit 0) or NOT PROVED (exit 1). Give the gateway's signing certificate
# as you got it from the operator; without it the copy in this folder is believed. Nothing but a POSIX shell, openssl
# and the usual small tools (base64, cut, dirname, head, mktemp, rm, sed, sha256sum, tail) is used.

set -u
LC_ALL=C
export LC_ALL

certificate=signing-cert.pem
if [ $# -gt 0 ]; then
    case $1 in
        /*) certificate=$1 ;;
        *) certificate=$PWD/$1 ;;
    esac
fi
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

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

line() { sed -n "$1p" "$2"; }
digest() { sha256sum "$1" | cut -c 1-64; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }

signed() {
    head -n 4 note.txt >"$work/text"
    [ -z "$(line 5 note.txt)" ] && [ -z "$(line 7 note.txt)" ] || return 1
    line 6 note.txt | cut -d ' ' -f 3 | base64 -d 2>/dev/null | tail -c +5 >"$work/signature"
    openssl x509 -in "$certificate" -pubkey -noout >"$work/key.pem" 2>/dev/null || return 1
    # Not `openssl dgst -verify`: that passes over bytes that follow an RSA signature.
    openssl dgst -sha256 -binary "$work/text" >"$work/hash"
    openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -pkeyopt digest:sha256 -in "$work/hash" \
        -sigfile "$work/signature" >/dev/null 2>&1
}

step "the key of the certificate has signed note.txt" signed
step "note.txt names this reconciliation" same "reconciliation $(line 2 reconciliation.txt)" "$(line 2 note.txt)"
step "note.txt names the SHA-256 of reconciliation.txt" same "digest $(digest reconciliation.txt)" "$(line 3 note.txt)"
step "reconciliation.txt names the SHA-256 of register.txt" same "$(digest register.txt)" "$(line 9 reconciliation.txt)"
step "both are of one register" same "$(line 2 register.txt)" "$(line 3 reconciliation.txt)"
echo "        $(line 4 note.txt)"
if [ $failed = 0 ]; then
    echo PROVED
    exit 0
fi
echo "NOT PROVED"
exit 1

/*
 * The vault port: the only place that knows card numbers (M6). It turns a card into a token, tells
 * what may be shown of it, and owns the connection to the card network, so that a number in clear
 * never travels to another service.
 *
 * Answers are posted to the requester's executor, always later.
 */
#ifndef PORT_VAULT_H
#define PORT_VAULT_H

#include "base/err.h"
#include "base/span.h"
#include "os/loop.h"
#include "tracecontext/tracecontext.h"

#define PORT_VAULT_TOKEN_SIZE       40 /* "card_..." and a zero */
#define PORT_VAULT_FINGERPRINT_SIZE 20 /* 16 characters and a zero */

/* The outcome of looking at a card: business data, not an err_t. */
enum port_vault_outcome {
    PORT_VAULT_OK,
    PORT_VAULT_INVALID_NUMBER,   /* not digits, or not 12 to 19 of them */
    PORT_VAULT_INCORRECT_NUMBER, /* the check digit is wrong (ISO/IEC 7812-1 annex B) */
    PORT_VAULT_INVALID_MONTH,
    PORT_VAULT_INVALID_YEAR, /* no year, or the card has expired */
    PORT_VAULT_INVALID_CVC,  /* three digits, four for American Express */
    PORT_VAULT_UNKNOWN_TOKEN,
};

/* What may be shown, logged and stored outside. */
struct port_vault_card {
    char token[PORT_VAULT_TOKEN_SIZE];
    char fingerprint[PORT_VAULT_FINGERPRINT_SIZE]; /* keyed; equal for equal numbers */
    char brand[16]; /* visa mastercard amex discover diners jcb unionpay unknown */
    char network[16];
    char funding[8]; /* credit debit prepaid unknown */
    char country[3];
    char last4[5];
    char bin[7]; /* first six */
    uint8_t exp_month;
    uint16_t exp_year;
    bool cvc_provided;
};

/*
 * Stores a card and answers with its token. The same number with the same expiry in the same scope
 * answers the same token. The CVC is kept in the vault's memory until the first authorization with
 * the token, for an hour at most, and is never written.
 *
 * `test_token` instead of a number names one of the test cards ("pm_card_visa", "tok_visa").
 * `token` instead of a number names a card that is stored: its number with this expiry.
 */
struct port_vault_tokenize {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_vault_tokenize *request);
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */
    void *vault;                /* the vault's, while the request is under way */
    uint64_t scope;
    struct span number, cvc; /* the caller wipes them after done */
    struct span test_token;
    struct span token;
    int64_t exp_month, exp_year;
    err_t error;
    enum port_vault_outcome outcome;
    struct port_vault_card card;
};

struct port_vault {
    void (*tokenize)(struct port_vault *vault, struct port_vault_tokenize *request);
};

#endif

#include "tables.h"

#include <string.h>

/* Bytes of one text: as many as a request of the public API can have. What they mean is for the
 * port to judge. */
#define TEXTS_MAX        (1U << 20)

#define AT(type, member) .offset = offsetof(type, member)
#define FIELD(kind_, type, member, name_)                                                          \
    {                                                                                              \
        .name = name_, .kind = REMOTE_FIELD_##kind_, AT(type, member)                              \
    }
#define NEEDED(kind_, type, member, name_)                                                         \
    {                                                                                              \
        .name = name_, .kind = REMOTE_FIELD_##kind_, .required = true, AT(type, member)            \
    }
#define CHARS(type, member, name_)                                                                 \
    {                                                                                              \
        .name = name_, .kind = REMOTE_FIELD_TEXT, AT(type, member),                                \
        .size = sizeof(((type *)0)->member)                                                        \
    }
#define BYTES(type, member, name_)                                                                 \
    {                                                                                              \
        .name = name_, .kind = REMOTE_FIELD_SPAN, AT(type, member), .size = TEXTS_MAX              \
    }
#define ENUM(type, member, name_, names_)                                                          \
    {                                                                                              \
        .name = name_, .kind = REMOTE_FIELD_ENUM, .required = true, AT(type, member),              \
        .names = names_                                                                            \
    }
#define TABLE(name, fields_)                                                                       \
    const struct remote_table name = {                                                             \
        .fields = (fields_), .count = sizeof(fields_) / sizeof((fields_)[0])}

static_assert(sizeof(enum port_rail_outcome) == sizeof(uint32_t), "enums are read as 32 bits");

/* ------------------------------------------------------------------------------------- rail --- */

static const char *const rail_operations[] = {
    "authorize",
    "capture",
    "void",
    "refund",
    "report",
    "increment",
    "pay",
    "news",
    "evidence",
    "accept",
    NULL};
static const char *const rail_outcomes[] = {
    "approved", "declined", "pending", "failed", "not_found", "unknown", "challenge", NULL};
static const char *const rail_news[] = {
    "none", "inquiry", "disputed", "won", "lost", "closed", NULL};
static const char *const rail_checks[] = {"none", "pass", "fail", "unavailable", NULL};
static const char *const rail_proofs[] = {
    "none", "authenticated", "attempted", "not_supported", "error", NULL};

#define RAIL(kind, member) FIELD(kind, struct port_rail_request, member, #member)

static const struct remote_field rail_request_fields[] = {
    ENUM(struct port_rail_request, operation, "operation", rail_operations),
    RAIL(U64, scope),
    RAIL(U128, id),
    RAIL(U128, original_id),
    FIELD(I64, struct port_rail_request, amount.amount, "amount"),
    FIELD(CURRENCY, struct port_rail_request, amount.currency, "currency"),
    RAIL(BOOL, capture),
    RAIL(BOOL, off_session),
    RAIL(BOOL, may_challenge),
    RAIL(BOOL, wants_proof),
    RAIL(BOOL, sets_up),
    RAIL(U128, reference),
    RAIL(U64, position),
    RAIL(U128, agreement_id),
    CHARS(struct port_rail_request, token, "token"),
    BYTES(struct port_rail_request, postal_code, "postal_code"),
    BYTES(struct port_rail_request, address_line1, "address_line1"),
    BYTES(struct port_rail_request, statement_descriptor, "statement_descriptor"),
    BYTES(struct port_rail_request, evidence, "evidence"),
};
TABLE(remote_rail_request, rail_request_fields);

#define ANSWER(kind, member)       FIELD(kind, struct port_rail_answer, member, #member)
#define ANSWER_CHARS(member)       CHARS(struct port_rail_answer, member, #member)
#define ANSWER_ENUM(member, names) ENUM(struct port_rail_answer, member, #member, names)

#define NOTICE(kind, member)       FIELD(kind, struct port_rail_answer, notice.member, "notice_" #member)
#define NOTICE_CHARS(member)       CHARS(struct port_rail_answer, notice.member, "notice_" #member)
/* Not required: a process of an older version, and most answers, leave it out. */
#define NOTICE_ENUM(member, names_)                                                                \
    {                                                                                              \
        .name = "notice_" #member, .kind = REMOTE_FIELD_ENUM,                                      \
        AT(struct port_rail_answer, notice.member), .names = names_                                \
    }

static const struct remote_field rail_answer_fields[] = {
    ANSWER_ENUM(outcome, rail_outcomes),
    ANSWER_CHARS(error_code),
    ANSWER_CHARS(decline_code),
    ANSWER_CHARS(advice_code),
    ANSWER_CHARS(network_code),
    ANSWER_CHARS(authorization_code),
    ANSWER_CHARS(network_transaction_id),
    ANSWER_CHARS(risk_level),
    ANSWER(U8, risk_score),
    ANSWER_ENUM(cvc_check, rail_checks),
    ANSWER_ENUM(address_check, rail_checks),
    ANSWER_ENUM(postal_code_check, rail_checks),
    ANSWER_ENUM(proof, rail_proofs),
    ANSWER(BOOL, straight_to_available),
    ANSWER(BOOL, captured),
    ANSWER(I64, authorized_amount),
    ANSWER(I64, captured_amount),
    ANSWER(I64, refunded_amount),
    ANSWER(I64, disputed_amount),
    ANSWER(I64, reinstated_amount),
    ANSWER(BOOL, voided),
    NOTICE_ENUM(news, rail_news),
    NOTICE(U64, position),
    NOTICE(U128, dispute),
    NOTICE(U128, authorization),
    NOTICE(U128, reference),
    NOTICE(U64, scope),
    NOTICE(I64, amount),
    NOTICE(U64, opened_ms),
    NOTICE(U64, due_ms),
    NOTICE_CHARS(reason),
    NOTICE_CHARS(network_code),
};
TABLE(remote_rail_answer, rail_answer_fields);

/* ------------------------------------------------------------------------------------ vault --- */

static const char *const vault_outcomes[] = {
    "ok",
    "invalid_number",
    "incorrect_number",
    "invalid_month",
    "invalid_year",
    "invalid_cvc",
    "unknown_token",
    NULL};

static const struct remote_field tokenize_request_fields[] = {
    NEEDED(U64, struct port_vault_tokenize, scope, "scope"),
    BYTES(struct port_vault_tokenize, number, "number"),
    BYTES(struct port_vault_tokenize, cvc, "cvc"),
    BYTES(struct port_vault_tokenize, test_token, "test_token"),
    BYTES(struct port_vault_tokenize, token, "token"),
    FIELD(I64, struct port_vault_tokenize, exp_month, "exp_month"),
    FIELD(I64, struct port_vault_tokenize, exp_year, "exp_year"),
};
TABLE(remote_tokenize_request, tokenize_request_fields);

#define CARD_CHARS(member) CHARS(struct port_vault_tokenize, card.member, #member)

static const struct remote_field tokenize_answer_fields[] = {
    ENUM(struct port_vault_tokenize, outcome, "outcome", vault_outcomes),
    CARD_CHARS(token),
    CARD_CHARS(fingerprint),
    CARD_CHARS(brand),
    CARD_CHARS(network),
    CARD_CHARS(funding),
    CARD_CHARS(country),
    CARD_CHARS(last4),
    CARD_CHARS(bin),
    FIELD(U8, struct port_vault_tokenize, card.exp_month, "exp_month"),
    FIELD(U16, struct port_vault_tokenize, card.exp_year, "exp_year"),
    FIELD(BOOL, struct port_vault_tokenize, card.cvc_provided, "cvc_provided"),
};
TABLE(remote_tokenize_answer, tokenize_answer_fields);

/* ----------------------------------------------------------------------------------- wallet --- */

static const char *const wallet_operations[] = {"lookup", "reserve", NULL};
static const char *const wallet_directions[] = {"out", "in", NULL};
static const char *const wallet_outcomes[] = {"ok", "not_found", "refused", NULL};

#define WALLET struct port_wallet_request

static const struct remote_field wallet_request_fields[] = {
    ENUM(WALLET, operation, "operation", wallet_operations),
    NEEDED(U64, WALLET, movement.scope, "scope"),
    CHARS(WALLET, movement.wallet, "wallet"),
    ENUM(WALLET, movement.direction, "direction", wallet_directions),
    FIELD(I64, WALLET, movement.amount.amount, "amount"),
    FIELD(CURRENCY, WALLET, movement.amount.currency, "currency"),
};
TABLE(remote_wallet_request, wallet_request_fields);

static const struct remote_field wallet_answer_fields[] = {
    ENUM(WALLET, outcome, "outcome", wallet_outcomes),
    FIELD(I64, WALLET, movement.reserved_at, "reserved_at"),
    CHARS(WALLET, code, "code"),
    CHARS(WALLET, message, "message"),
    CHARS(WALLET, customer, "customer"),
    FIELD(CURRENCY, WALLET, currency, "currency"),
};
TABLE(remote_wallet_answer, wallet_answer_fields);

static const struct remote_field wallet_release_fields[] = {
    NEEDED(U64, struct port_wallet_movement, scope, "scope"),
    CHARS(struct port_wallet_movement, wallet, "wallet"),
    ENUM(struct port_wallet_movement, direction, "direction", wallet_directions),
    NEEDED(I64, struct port_wallet_movement, amount.amount, "amount"),
    NEEDED(CURRENCY, struct port_wallet_movement, amount.currency, "currency"),
    NEEDED(I64, struct port_wallet_movement, reserved_at, "reserved_at"),
};
TABLE(remote_wallet_release, wallet_release_fields);

/* ----------------------------------------------------------------------------------- mobile --- */

static const char *const mobile_outcomes[] = {"ok", "invalid", "expired", "used", "limited", NULL};

static const struct remote_field mobile_request_fields[] = {
    NEEDED(U64, struct port_mobile_request, scope, "scope"),
    CHARS(struct port_mobile_request, code, "code"),
    CHARS(struct port_mobile_request, payment, "payment"),
    CHARS(struct port_mobile_request, key, "key"), /* since version 2 */
};
TABLE(remote_mobile_request, mobile_request_fields);

static const struct remote_field mobile_answer_fields[] = {
    ENUM(struct port_mobile_request, outcome, "outcome", mobile_outcomes),
    CHARS(struct port_mobile_request, wallet, "wallet"),
};
TABLE(remote_mobile_answer, mobile_answer_fields);

/* ----------------------------------------------------------------------------------- ledger --- */

#define FILTER(kind, member) FIELD(kind, struct port_ledger_filter, member, #member)

static const struct remote_field ledger_filter_fields[] = {
    FILTER(U128, account_id),
    FILTER(U128, user_data_128),
    FILTER(U64, user_data_64),
    FILTER(U32, user_data_32),
    FILTER(U32, ledger),
    FILTER(U16, code),
    FILTER(BOOL, debits),
    FILTER(BOOL, credits),
    FILTER(BOOL, reversed),
    FILTER(U64, timestamp_min),
    FILTER(U64, timestamp_max),
    NEEDED(U32, struct port_ledger_filter, limit, "limit"),
};
TABLE(remote_ledger_filter, ledger_filter_fields);

/* ------------------------------------------------------------------------------------- both --- */

static const struct remote_field refusal_fields[] = {
    CHARS(struct remote_refusal, error, "error"),
    NEEDED(BOOL, struct remote_refusal, by_listener, "by_listener"),
    CHARS(struct remote_refusal, message, "message"),
    FIELD(U64, struct remote_refusal, epoch, "epoch"),
};
TABLE(remote_refusal_fields, refusal_fields);

#define HELLO(kind, member) FIELD(kind, struct remote_hello, member, #member)

static const struct remote_field hello_fields[] = {
    NEEDED(U64, struct remote_hello, version, "version"),
    NEEDED(BOOL, struct remote_hello, ready, "ready"),
    CHARS(struct remote_hello, why, "why"),
    HELLO(BOOL, ledger),
    HELLO(BOOL, rail),
    HELLO(BOOL, network),
    HELLO(BOOL, vault),
    HELLO(BOOL, wallet),
    HELLO(BOOL, mobile),
    HELLO(BOOL, bank),
    HELLO(BOOL, simulated),
};
TABLE(remote_hello_fields, hello_fields);

bool
remote_error_from_name(const char *name, err_t *ret_error)
{
#define ERROR_ROW(error, category, number, text) {#error, error},

    static const struct {
        const char *name;
        err_t error;
    } rows[] = {ERR_TABLE(ERROR_ROW)};

#undef ERROR_ROW

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(name, rows[i].name) == 0) {
            *ret_error = rows[i].error;
            return true;
        }
    }
    return false;
}

static const struct {
    const char *name;
    const char *role;
    uint32_t version;
} services[REMOTE_SERVICE_COUNT] = {
    [REMOTE_LEDGER] = {"ledger", "ledger", 1},
    [REMOTE_RAIL] = {"rail", "cards", 2}, /* 2: disputes */
    [REMOTE_NETWORK] = {"network", "vault", 2},
    [REMOTE_VAULT] = {"vault", "vault", 1},
    [REMOTE_WALLET] = {"wallet", "wallets", 1},
    [REMOTE_MOBILE] = {"mobile", "mobile", 2},
    [REMOTE_BANK] = {"bank", "bank", 1}, /* is asked nothing that version 1 has not */
};

const char *
remote_service_name(enum remote_service service)
{
    return services[service].name;
}

const char *
remote_service_role(enum remote_service service)
{
    return services[service].role;
}

uint32_t
remote_service_version(enum remote_service service)
{
    return services[service].version;
}

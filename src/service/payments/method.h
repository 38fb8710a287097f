/*
 * Payment methods: made of what a request gives (method_make.c), chosen for a payment or a setup
 * (method_choose.c), kept for a customer (method_keep.c), shown and changed (method.c).
 */
#ifndef PAYMENTS_METHOD_H
#define PAYMENTS_METHOD_H

#include "documents.h"

struct payments_flow;

/* --- method.c: what is said of one --- */

/* "card", "wallet", "mobile_qr". Static. */
const char *payments_method_type_name(const struct payments_method *method);
struct span payments_method_redisplay(const struct payments_method *method);
/* Whether it is of one of these types, a JSON array. */
bool payments_method_is_of(const struct payments_method *method, struct span types);
/* False if answered: flow->method has paid, or was to pay, by a code (PAYMENTS-9), or was detached
 * (PAYMENTS-13). */
bool payments_method_is_reusable(struct payments_flow *flow);
/* Takes it from its customer, and with it what was agreed with the customer; the caller saves. */
void payments_method_detached(struct payments_method *method);
/* Answers those of a customer, or all if that is empty, of the type that is asked for. */
void payments_method_list_of(struct resource_op *op, struct span customer, struct span url);

/* --- method_make.c --- */

/* The names of the parameters that a method is given with. */
struct payments_method_params {
    const char *billing;
    const char *allow_redisplay;
    const char *metadata;
};

extern const struct payments_method_params payments_method_own_params;
extern const struct payments_method_params payments_method_data_params; /* payment_method_data */

/* Whether the parameter names this type. */
bool payments_method_type_is(struct resource_op *op, const char *param, const char *wanted);
/* Billing details as JSON, of a payer of whom no more is known; empty if memory is out. */
struct span payments_billing_of_payer(struct resource_op *op, struct span name, struct span email);
/* What is given besides the means to pay: what is left out stays. False if answered. */
bool payments_method_read_given(
    struct resource_op *op,
    const struct payments_method_params *params,
    struct payments_method *method);

/* A new one, not saved; NULL: answered. `card` is what the vault says of it. */
struct payments_method *payments_method_of_card(
    struct resource_op *op,
    const struct port_vault_card *card,
    const struct payments_method_params *params);
/* Its payer scans a code that is shown to them. */
struct payments_method *payments_method_of_qr(
    struct resource_op *op, const struct payments_method_params *params);
/* The same into flow->method, then flow->method_step, which the caller has set; or answers.
 * `param`: where the token, or the wallet's id, was given. */
void payments_method_of_test_token(
    struct payments_flow *flow, const char *param, struct span token);
void payments_method_of_wallet(
    struct payments_flow *flow, const char *param, const struct payments_method_params *params);

/* --- method_choose.c --- */

/* pm_card_... and tok_...: names of test cards, not ids. */
bool payments_is_test_token(struct span text);
/* Loads a stored one into flow->method; false if answered. */
bool payments_method_load(struct payments_flow *flow, struct span id);
/* An update says that there is to be none. */
bool payments_method_is_unset(struct resource_op *op);
/* Finds or makes flow->method from payment_method, payment_method_data or the intent, then runs
 * `step`. flow->method stays NULL if none was named. Answers the operation on errors. */
void payments_method_choose(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* Whether the intent takes flow->method's type of payment method; false if answered. */
bool payments_method_may_pay(struct payments_flow *flow);

/* --- method_keep.c --- */

/* Asks the issuer of flow->method whether the card is good, without a challenge, and then runs
 * `step`; or answers with its decline. */
void payments_method_verify(struct payments_flow *flow, void (*step)(struct payments_flow *flow));

/* What an authorization taught about flow->method, besides its checks. */
struct payments_method_news {
    struct span customer;  /* whose it is from now on, if it is nobody's; empty: no change */
    struct span agreement; /* that set it up to be charged off session; empty: no change */
};

/* Saves flow->method with its checks and the news, over whatever somebody else wrote to it in the
 * meantime: a payment method has no lock, and that must not stop a payment. */
MUST_USE err_t
payments_method_learn(struct payments_flow *flow, const struct payments_method_news *news);

#endif

/*
 * One run of a payment, a capture, a cancellation or a refund through the outside world:
 * documents, rail, books, documents. What a flow needs to be picked up by another process is in
 * the document's attempt (documents.h); this struct is only what the present run holds in memory.
 * README.md has the invariants, PAYMENTS-1 and on.
 */
#ifndef PAYMENTS_FLOW_H
#define PAYMENTS_FLOW_H

#include "books/books.h"
#include "coordinator/coordinator.h"
#include "documents.h"
#include "intent_machine.h"
#include "payments/payments.h"

#include <stdatomic.h>

#define PAYMENTS_CHALLENGE_SECRET 32  /* characters */
#define PAYMENTS_URL_MAX          512 /* bytes of a public address */

/* In the public API's units. */
#define PAYMENTS_AMOUNT_MAX    INT64_C(99999999)

#define PAYMENTS_TRANSFERS_MAX 3
#define PAYMENTS_ACCOUNTS_MAX  5

struct json_writer;
struct payments_dispute; /* dispute.h */
struct payments_feed;
struct payments_risk_books; /* risk.h */

/* A merchant's accounts in a currency that are known to exist in the ledger. */
struct payments_known_accounts;

struct payments {
    struct payments_parts parts;
    struct resource_route *routes[PAYMENTS_ROUTE_TABLES]; /* bound to this instance */
    struct payments_known_accounts *known;
    struct books_memo *memo; /* on the runtime's loop */
    struct os_timer reconcile_timer;
    struct resource_sweeper *sweeper;
    struct payments_reconciler *reconciler;
    struct payments_feed *feed; /* of disputes */
    struct payments_risk_books *risk_books;
    /* When the ledger last had no room on its disk, and nothing was booked since; 0: it has. */
    uint64_t ledger_full_ns;
    _Atomic uint64_t attempts_open;
    _Atomic int64_t attempt_oldest_s;
    _Atomic uint64_t reconcile_runs;
    _Atomic uint64_t differences;
    _Atomic uint64_t suspense_open;
    _Atomic uint64_t payouts_in_transit;
    _Atomic int64_t payout_oldest_s;
    _Atomic int64_t refund_oldest_s;
    _Atomic uint64_t payouts_paid;
    _Atomic uint64_t payouts_failed;
    _Atomic uint64_t disputes_due_soon;
    _Atomic uint64_t disputes_unplaced;
    _Atomic uint64_t blocked_by_list;
    _Atomic uint64_t blocked_by_rule;
    _Atomic uint64_t blocked_by_network;
};

/* What a merchant's lists and rules said of a payment by card (risk/risk.h). */
enum payments_risk_kind {
    PAYMENTS_RISK_NONE,
    PAYMENTS_RISK_ALLOWED,
    PAYMENTS_RISK_BLOCKED,
};

struct payments_verdict {
    enum payments_risk_kind kind;
    bool by_list;        /* a default list blocked it, and no rule of the merchant's */
    bool wants_proof;    /* a rule requests 3-D Secure */
    struct span rule;    /* that blocked it */
    struct span address; /* where it comes from, as the request says; empty: it does not */
};

enum payments_posting {
    PAYMENTS_POSTED,          /* it is in the books, now or from an earlier try */
    PAYMENTS_POSTING_REFUSED, /* it is not, and never will be under these ids */
    PAYMENTS_POSTING_UNKNOWN, /* ask again later under the same ids */
};

struct payments_checkout;      /* checkout.h */
struct payments_method_params; /* method.h */

struct payments_flow {
    struct payments *payments;
    struct resource_op *op;
    struct payments_intent *intent;
    struct payments_charge *charge;
    struct payments_method *method;
    struct payments_refund *refund;
    struct payments_suspense *suspense;
    struct payments_dispute *dispute;
    struct payments_setup *setup;
    struct payments_setup_attempt *setup_attempt;
    struct payments_checkout *checkout;
    bool merchant_closed; /* nothing new begins on its pages */
    struct payments_verdict risk;
    bool page; /* it runs for a person's browser: answers are pages and redirects */
    /* What is answered instead of the intent and of the page; NULL: nothing. */
    void (*answer_step)(struct payments_flow *flow);
    u128 attempt_id;
    struct span wanted_intent;         /* what to lock and load; of a setup as well */
    const struct resource_type *swept; /* what the sweeper found */
    struct span swept_id;
    struct span wanted_secret; /* of a page's address */
    struct span wanted_checkout;
    resource_step locked_step; /* what runs once the intent is locked and loaded */

    /* Rail. */
    struct port_rail_request rail;
    void (*rail_step)(struct payments_flow *flow);

    /* Books. */
    struct port_ledger_request ledger;
    struct ledger_account accounts[PAYMENTS_ACCOUNTS_MAX];
    struct ledger_transfer transfers[PAYMENTS_TRANSFERS_MAX];
    struct ledger_result results[PAYMENTS_ACCOUNTS_MAX];
    struct port_ledger_pair *pairs; /* of the transfers of a resumed wallet payment, or NULL */
    uint32_t transfer_count;
    u128 booked_ids[2];                                               /* booked.c */
    enum payments_posting (*judge)(const struct payments_flow *flow); /* NULL: they are linked */
    bool void_refused; /* by the rail, of what must not stand */
    bool in_suspense;  /* the books refused the wallet's part: it goes to suspense instead */
    void (*posted_step)(struct payments_flow *flow, enum payments_posting posting);
    /* Where a wallet is apart: adds the transfers of the second step; and what comes after it. */
    void (*crossed_rest)(struct payments_flow *flow);
    void (*crossed_step)(struct payments_flow *flow, enum payments_posting posting);

    /* Wallets. */
    struct port_wallet_request wallet;
    void (*wallet_step)(struct payments_flow *flow);
    const char *wallet_param;
    void (*reserved_step)(struct payments_flow *flow);
    void (*split_step)(struct payments_flow *flow); /* split.c */
    struct coordinator_ballot ballot;               /* participants.c */
    void (*ballot_step)(struct payments_flow *flow);
    int64_t reserved_amount; /* what may have to be released, and when it was reserved */
    int64_t reserved_at;
    bool reserved_out, reserved_in;
    struct port_mobile_request mobile;
    bool payer_confirms;         /* the code's owner is asked before it pays */
    bool confirms;               /* the request confirms flow->intent */
    struct scan *scan;           /* qr_pay.c */
    struct span decline_message; /* instead of the card's; empty: none */

    /* Choosing a payment method. */
    const struct payments_method_params *method_params;
    struct port_vault_tokenize tokenize;
    const char *token_param; /* that its test token came in */
    void (*method_step)(struct payments_flow *flow);
};

/* A flow in the operation's arena, set as its state. NULL: the operation was answered. */
struct payments_flow *payments_flow_create(struct resource_op *op);

static inline struct payments_flow *
payments_flow_of(struct resource_op *op)
{
    return (struct payments_flow *)resource_op_state(op);
}

const struct currency *payments_flow_currency(const struct payments_flow *flow);

/* --- attempt.c: the attempt inside a document --- */

/* Opens one with a new id; false if the operation was answered. */
bool payments_attempt_open(
    struct payments_flow *flow, struct payments_attempt *attempt, const char *kind, int64_t amount);
/* Opens one on an authorized intent, leased to this process, and runs `step` when it is durable; or
 * answers. */
void payments_attempt_begin(
    struct payments_flow *flow, const char *kind, int64_t amount, resource_step step);
/* Reads the id of a stored one. */
void payments_attempt_resume(struct payments_flow *flow, const struct payments_attempt *attempt);
void payments_attempt_close(struct payments_attempt *attempt);

static inline bool
payments_attempt_is_open(const struct payments_attempt *attempt)
{
    return attempt->kind.size != 0;
}

/* PAYMENTS-14: so often a step is tried within an attempt whose answer will hardly be another. */
#define PAYMENTS_HOPELESS_TRIES_MAX 4
/* Counts such a try in the attempt, which the caller saves; true: it was the last. */
bool payments_attempt_gives_up(struct payments_attempt *attempt);

/* Its outcome is not known: counts the try, and answers when to ask again, in unix seconds: 1, 2, 4
 * ... 300 from now. */
int64_t payments_attempt_again(struct resource_op *op, struct payments_attempt *attempt);
/* 32 hex digits and back. */
struct span payments_hex(struct resource_op *op, u128 id);
u128 payments_unhex(struct span text);

/* --- stored.c --- */

/* What the books have of a charge: the transfer that took the money, or the one that holds it. */
struct payments_charge_part {
    u128 transfer;
    int64_t amount; /* the public API's units */
};

#define PAYMENTS_PARTS_MAX 2
/* One part, or of a split payment the card's and then the wallet's. Returns how many. */
uint32_t payments_charge_parts(
    const struct payments_charge *charge, struct payments_charge_part parts[PAYMENTS_PARTS_MAX]);

/* --- rail.c --- */

/* Sends flow->rail, of which the caller filled operation, id, original_id and amount; `step` finds
 * the answer in flow->rail.answer. A rail that could not be reached at all answers UNKNOWN. */
void payments_rail_call(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* The attempt's request about what the charge's authorization holds; `name` is what its id is
 * derived with. The caller filled the amount. */
void payments_rail_follow(
    struct payments_flow *flow,
    enum port_rail_operation operation,
    const char *name,
    void (*step)(struct payments_flow *flow));

/* Of an answer UNKNOWN: payments_attempt_gives_up, if the vault does not have the card, or cannot
 * read it; false for all else, as for a network that is out of reach. */
bool payments_rail_gives_up(const struct payments_flow *flow, struct payments_attempt *attempt);

/* --- wallet.c --- */

/* Whether this flow's payment, capture or refund is about a wallet's money. */
bool payments_by_wallet(const struct payments_flow *flow);
/* Before the attempt is written: reserves what leaves the paying wallet and what enters the
 * destination, if there are such, then runs `step`; flow->rail.answer says whether a wallet
 * refused. */
void payments_wallet_reserve(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* What was reserved does not move after all. Once, with the writes that end the attempt; it is free
 * again when they are durable: PAYMENTS-12. */
void payments_wallet_release(struct payments_flow *flow);
/* One movement of it, or a part. */
void payments_wallet_release_when_done(
    struct payments_flow *flow, const struct port_wallet_movement *movement);
/* What of the open attempt's amount a wallet's limits count: a split's part, or all. */
int64_t payments_wallet_part(const struct payments_flow *flow);
/* Another process reserved it. */
void payments_wallet_resume(struct payments_flow *flow);
/* The books refused: makes flow->rail.answer the decline that says why. */
void payments_wallet_decline_of_books(struct payments_flow *flow);
/* Runs `step` if there is such a wallet; answers resource_missing if not. */
void payments_wallet_lookup(
    struct payments_flow *flow,
    struct span id,
    const char *param,
    void (*step)(struct payments_flow *flow));

/* --- split.c: a wallet pays a part, the card the rest --- */

/* Whether the authorization in hand, or flow->charge, is split. */
static inline bool
payments_is_split(const struct payments_intent *intent)
{
    return intent->split_wallet.size != 0;
}

/* The card's part: of the authorization in hand, of the capture in hand, of a refund. All of it
 * without a split. */
int64_t payments_split_rest(const struct payments_flow *flow);
int64_t payments_split_rest_captured(const struct payments_flow *flow);
int64_t payments_split_rest_refunded(const struct payments_refund *refund);
/* Reads `split` into the intent, looks the wallet up, and runs `step`; or answers. Without one in
 * the request: whether the intent's still fits its amount. */
void payments_split_read(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* Whether flow->method can pay the rest; false if answered. */
bool payments_split_check_method(struct payments_flow *flow);
/* Before the rail: holds the wallet's part and runs `step`; a refusal leaves a decline in
 * flow->rail.answer. Without a split: `step` at once. */
void payments_split_prepare(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* The card did not pay: nothing is held, nor ever will be by this attempt; then `step`. */
void payments_split_abort(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* The card is challenged: what is held stays so, but no longer than the challenge; then `step`. */
void payments_split_keep(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* The challenge is over: the intent's hold, if it has one, is let go; then `step`. */
void payments_split_let_go(struct payments_flow *flow, void (*step)(struct payments_flow *flow));
/* The wallet's limits count `amount` of flow->charge no more. */
void payments_split_uncount(struct payments_flow *flow, int64_t amount);

/* --- participants.c: other services take part in an authorization --- */

/* Reads `participants` into the intent; false if answered. */
bool payments_participants_read(struct payments_flow *flow);
/* In the write that opens the attempt: their transaction begins, if there are any. */
MUST_USE err_t payments_participants_begin(struct payments_flow *flow);
/* Behind that: all are asked to prepare; then `step`, with a decline in flow->rail.answer unless
 * all said yes. Without participants: `step` at once. */
void payments_participants_prepare(
    struct payments_flow *flow, void (*step)(struct payments_flow *));
/* Whether the attempt, found open, may still come to a yes: false leaves a decline in
 * flow->rail.answer, because its participants were never all prepared and no rail knows better. */
MUST_USE err_t payments_participants_resume(struct payments_flow *flow, bool *ret_may_go_on);
/* In the write that ends an attempt, or an authorization: `amount` of it is paid, or nothing. */
MUST_USE err_t payments_participants_commit(struct payments_flow *flow, int64_t amount);
MUST_USE err_t payments_participants_abort(struct payments_flow *flow);

/* --- suspense.c: money that a person must look at --- */

/* Saves an item about the wallet's part of flow->charge or flow->refund; its id to *ret_id. */
MUST_USE err_t payments_suspense_add(
    struct payments_flow *flow, const char *reason, int64_t amount, struct span *ret_id);
/* Saves one about what the rail holds of flow->charge and would not let go of; the caller saves the
 * charge. */
MUST_USE err_t payments_suspense_add_void(struct payments_flow *flow);
void payments_suspense_list(struct resource_op *op);
void payments_suspense_retrieve(struct resource_op *op);
void payments_suspense_resolve(struct resource_op *op);

/* --- posting_submit.c --- */

/* The platform's accounts are those that the merchant's payments use. */
u128 payments_merchant_account(
    const struct payments *payments,
    const struct resource_caller *caller,
    enum books_account account,
    const struct currency *currency);

void payments_known_accounts_destroy(struct payments *payments);

typedef void (*payments_posted_step)(struct payments_flow *flow, enum payments_posting posting);

/* --- booked.c --- */

/* Whether an earlier run of the open attempt has posted the transfer of `step`, or that of `other`,
 * which took its place: POSTED, REFUSED if it is not there, UNKNOWN. */
void payments_booked_before(
    struct payments_flow *flow, const char *step, const char *other, payments_posted_step next);
/* The same of an authorization: its payment or hold, or the wallet's part of it. */
void payments_authorization_booked_before(struct payments_flow *flow, payments_posted_step next);

/* --- posting_split.c: the wallet's part of a split, while it is not decided --- */

/* Holds it, in place of what a challenge kept. */
void payments_post_split_hold(struct payments_flow *flow, payments_posted_step step);
/* Voids the hold, and makes sure that it never comes later. */
void payments_post_split_abort(struct payments_flow *flow, payments_posted_step step);
/* Another hold takes its place, which the ledger ends after `seconds`. */
void payments_post_split_keep(
    struct payments_flow *flow, int64_t seconds, payments_posted_step step);
/* Voids that. */
void payments_post_split_let_go(struct payments_flow *flow, payments_posted_step step);
/* What payments_post_split_keep made. */
u128 payments_split_kept_id(const struct payments_flow *flow);

/* --- posting.c: the books (docs/accounting.md) --- */

/* Gross into the merchant's balance, fee out of it; from there on to a destination wallet, if the
 * intent has one. Cards pay into the pending balance, wallets into the available one. */
void payments_post_payment(struct payments_flow *flow, payments_posted_step step);
/* A hold of the authorized amount. */
void payments_post_hold(struct payments_flow *flow, payments_posted_step step);
/* Part or all of a hold becomes a payment; the fee is taken. */
void payments_post_capture(struct payments_flow *flow, payments_posted_step step);
/* The name of its first transfer: with flow->in_suspense it is another posting. */
const char *payments_capture_step(const struct payments_flow *flow);
void payments_post_void(struct payments_flow *flow, payments_posted_step step);
/* Of a split only the wallet's part: the rail keeps the card's. Without one: `step` at once. */
void payments_post_split_void(struct payments_flow *flow, payments_posted_step step);
/* A larger hold takes the place of the charge's present one. */
void payments_post_increment(struct payments_flow *flow, payments_posted_step step);
void payments_post_refund(struct payments_flow *flow, payments_posted_step step);
/* A booked refund failed after all: the money comes back. */
void payments_post_refund_failure(struct payments_flow *flow, payments_posted_step step);
/* The fee on a captured amount, in the public API's units. */
int64_t payments_fee(
    const struct payments *payments, int64_t api_amount, const struct currency *currency);

/* --- customer.c --- */

/* Is there such a customer? False if answered. */
bool payments_customer_check(struct resource_op *op, struct span id);
/* The method is being detached: it is not the customer's default any more. */
MUST_USE err_t
payments_customer_lose_method(struct resource_op *op, struct span id, struct span method);

/* --- decline.c --- */

/* What the customer is told of a "no". */
struct span payments_decline_message(const struct port_rail_answer *answer);
/* Makes the rail's answer that of a payment, or a setup, that we could not carry out. */
void payments_decline_processing_error(struct payments_flow *flow);
/* What is answered to whoever asked; the caller adds which objects it is about. */
struct resource_error payments_declined_error(
    const struct port_rail_answer *answer, struct span message);
/* Error objects as they stay on an intent or a setup; empty if memory is out. */
struct span payments_card_error(struct payments_flow *flow, struct span message);
struct span payments_authentication_error(struct payments_flow *flow, bool expired);

/* --- challenge.c --- */

/* payment_method_options[card][request_three_d_secure] asks for 3-D Secure. */
bool payments_wants_proof(struct span requested);
/* At each confirmation: forgets the last one, and reads return_url. False if answered. */
bool payments_challenge_reset(struct payments_flow *flow, struct payments_challenge *challenge);
/* After the rail's word, within the attempt; `id` is of the intent or the setup. False if
 * answered. */
bool payments_challenge_open(
    struct payments_flow *flow, struct payments_challenge *challenge, struct span id);
bool payments_challenge_is_open(const struct payments_challenge *challenge, int64_t now);
/* It counts no more: "canceled", "replaced". */
void payments_challenge_drop(struct payments_challenge *challenge, const char *state);
/* The customer's answer, of an intent in requires_action; ends the operation in the end. */
void payments_challenge_answer(struct payments_flow *flow, bool passed);
/* Nobody answered in time. */
void payments_challenge_expire(struct payments_flow *flow);

/* --- wait.c: challenges that no card holder answers --- */

/* flow->method is chosen, flow->intent->challenge reset and filled but for kind, state and expiry:
 * the intent waits for so many seconds, and the operation is answered. */
void payments_wait_begin(struct payments_flow *flow, const char *kind, int64_t seconds);
/* Whether the intent waits for that at this moment. */
bool payments_waits_for(struct payments_flow *flow, const char *kind);

/* --- qr.c, payer.c --- */

/* An action of the payer may be asked for. False if answered: error_on_requires_action. */
bool payments_wait_is_welcome(struct payments_flow *flow);
/* A confirmed intent shows its code, and waits. */
void payments_qr_show(struct payments_flow *flow);
/* flow->method from the payer's code in the request: runs flow->method_step, or answers. */
void payments_payer_choose(struct payments_flow *flow);
/* A confirmed intent asks the owner of flow->method's wallet, and waits. */
void payments_payer_ask(struct payments_flow *flow);

/* --- page.c --- */

/* Answers a browser with where the intent or the setup stands: a redirect to the return_url, or a
 * page if there is none. */
void payments_page_answer(struct payments_flow *flow);

/* --- checkout_flow.c: sessions on whose page an intent is paid --- */

/* In the write that opens an attempt, or a wait, from the page; else nothing. */
MUST_USE err_t payments_checkout_confirmed(struct payments_flow *flow);
/* In the write that authorizes, pays, captures or cancels an intent: its session, if it has one,
 * follows it. */
MUST_USE err_t payments_checkout_follow(struct payments_flow *flow);
/* True: the operation was answered, as the intent is its session's to change. */
bool payments_checkout_owns(struct payments_flow *flow, const char *verb);

/* --- charge.c --- */

/* A charge for the open attempt, approved or declined, not saved yet; false if answered. */
bool payments_charge_build(struct payments_flow *flow);
/* Takes over into flow->method what the issuer's answer says about CVC and address. */
void payments_charge_checks(struct payments_flow *flow);
/* "three_d_secure" of a charge or of an attempt at setting up, which has fewer members. */
void payments_proof_write(const struct payments_flow *flow, struct json_writer *json, bool charge);
/* What the statement says of the charge is what the intent says now. */
void payments_charge_describe(struct payments_charge *charge, const struct payments_intent *intent);
/* flow->charge is authorized for another amount now. */
void payments_charge_authorized(struct payments_flow *flow, int64_t amount);
/* Saves a balance transaction about flow->charge; of `entry` the type, source, amounts and
 * release_due count. Its id goes to *ret_id. */
MUST_USE err_t payments_balance_transaction_add(
    struct payments_flow *flow,
    const struct payments_balance_transaction *entry,
    struct span *ret_id);
/* The wallet's part of flow->charge was captured: `amount`, by the transfer of that step. With
 * flow->in_suspense the suspense account stands for the wallet. */
MUST_USE err_t
payments_charge_split_captured(struct payments_flow *flow, int64_t amount, const char *step);
/* The one that says that `amount` of flow->charge went on to its destination, if it has one. */
MUST_USE err_t payments_destination_transaction_add(struct payments_flow *flow, int64_t amount);
/* The public id of what the open authorization makes: the attempt's id as ch_..., so that entries
 * of the books, which carry the attempt's, lead to it. */
struct span payments_charge_id(const struct payments_flow *flow);
/* When what flow->charge earns now becomes available: unix seconds; 0: at once. */
int64_t payments_release_at(const struct payments_flow *flow);

/* --- authorize.c, capture.c, cancel.c, refund.c: the four flows --- */

/* flow->intent is loaded or new, flow->method chosen; begins the authorization and ends the
 * operation in the end. */
void payments_authorize_begin(struct payments_flow *flow);
/* The same behind a challenge that was passed. */
void payments_authorize_proven(struct payments_flow *flow);
/* Fills flow->rail with what an AUTHORIZE says about the card: all but amount and circumstances. */
void payments_rail_fill_card(struct payments_flow *flow, const struct payments_attempt *attempt);
/* off_session: true, one_off or recurring. */
bool payments_is_off_session(struct resource_op *op);
bool payments_captures_later(const struct payments_flow *flow);
/* The sweeper's entries: drive an open attempt to its end. */
void payments_authorize_resume(struct payments_flow *flow);
void payments_capture_resume(struct payments_flow *flow);
void payments_increment_resume(struct payments_flow *flow);
void payments_void_resume(struct payments_flow *flow);
void payments_refund_resume(struct payments_flow *flow);
/* Cancels an authorization that nobody captured in time. */
void payments_void_expired(struct payments_flow *flow);
/* Cancels flow->intent, which is not authorized and has no attempt open. */
void payments_cancel_unpaid(struct payments_flow *flow);

/* A new intent in flow->intent, not stored, with the standard settings; false if answered. */
bool payments_intent_new(struct payments_flow *flow, int64_t amount, struct span currency);
/* Whether it is an amount that can be paid in that currency; false if answered. */
bool payments_amount_check(struct resource_op *op, int64_t amount, struct span currency);
/* Takes the lock of the path's intent, loads it and its latest charge into a flow, checks a
 * publishable caller's client secret, and runs `step`; or answers. */
void payments_intent_with_charge(struct resource_op *op, resource_step step);
/* The same for an intent known by id (internal operations). */
bool payments_intent_load(struct payments_flow *flow, struct span id);
/* The same for an id that a parameter named. */
bool payments_intent_load_of(struct payments_flow *flow, const char *param, struct span id);

/* The first of these parameters, of which NULL is behind the last, that is given; NULL: none. */
const char *payments_first_given(struct resource_op *op, const char *const *names);
/* Does a publishable caller know the secret? False if answered. */
bool payments_may_touch(struct payments_flow *flow, struct span client_secret, const char *object);
/* `address` and `shipping`, if they are given: the hash as it is to be shown, or empty. */
void payments_address_read(struct resource_op *op, struct span *address);
void payments_shipping_read(struct resource_op *op, struct span *shipping);
extern const char *const payments_address_members[]; /* NULL behind the last */
/* payment_method_types holds nothing but cards, and goes to *ret_types; false if answered. */
bool payments_method_types(struct resource_op *op, struct span *ret_types);
/* payment_method_options as JSON, and the one of its card that is an enumeration: false if
 * answered. Unchanged if it was not sent. */
bool payments_card_option(
    struct resource_op *op, const char *name, const char *const *values, struct span *ret_value);
/* automatic_payment_methods as JSON; false if answered. */
bool payments_automatic_methods(struct resource_op *op, struct span *ret_methods);
extern const char *const payments_three_d_secure_values[];

/* --- answer.c --- */

/* Saves the intent and schedules the sweeper, because the outcome is unknown; then answers with
 * the intent, whose status shows as processing. */
void payments_answer_unknown(struct payments_flow *flow);
/* Answers with the intent as it is. */
void payments_answer_intent(struct payments_flow *flow);
/* payment_intent_unexpected_state, 400, with the intent. `param`: what cannot be changed; may be
 * NULL. */
void payments_fail_state(struct payments_flow *flow, const char *verb, const char *param);

/* --- setup.c, setup_confirm.c --- */

/* Loads the setup and its latest attempt; false if answered. */
bool payments_setup_load(struct payments_flow *flow, struct span id);
/* flow->setup is locked and flow->method chosen: asks the issuer. */
void payments_setup_begin(struct payments_flow *flow);
void payments_setup_resume(struct payments_flow *flow);
void payments_setup_answer_challenge(struct payments_flow *flow, bool passed);
void payments_setup_expire(struct payments_flow *flow);
void payments_setup_answer(struct payments_flow *flow);
/* setup_intent_unexpected_state, 400, with the setup. */
void payments_setup_fail_state(struct payments_flow *flow, const char *verb, const char *param);

/* --- sweeper.c, settle.c, reconcile.c: internal workers --- */

void payments_sweeper_start(struct payments *payments);
void payments_settle_sweep(struct payments *payments);
void payments_reconciler_start(struct payments *payments);
void payments_reconciler_destroy(struct payments *payments);

#endif

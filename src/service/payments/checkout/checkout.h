/*
 * Checkout sessions: a page of ours on which a payer pays. A session is what the merchant wants to
 * have; the payment itself is an intent as any other, made when its payer first tries to pay.
 * README.md has the invariants, CHECKOUT-1 and on.
 */
#ifndef PAYMENTS_CHECKOUT_H
#define PAYMENTS_CHECKOUT_H

#include "checkout_machine.h"
#include "flow.h"

#define PAYMENTS_CHECKOUT_ITEMS_MAX 100
/* Cards that one session sends to the network: an address must be of no use for trying out stolen
 * numbers. */
#define PAYMENTS_CHECKOUT_CARDS_MAX 10

struct payments_checkout {
    struct resource_header header;
    struct span status;         /* checkout_machine.h */
    struct span payment_status; /* unpaid paid */
    struct span currency;       /* lower case */
    int64_t amount;             /* of all items */
    struct span line_items;     /* JSON array, checkout_items.c */
    struct span success_url;    /* with the session's id in it */
    struct span cancel_url;
    struct span customer;
    struct span customer_email;
    struct span client_reference_id;
    struct span metadata;               /* JSON object */
    struct span payment_method_types;   /* JSON array */
    struct span payment_method_options; /* JSON object */
    struct span request_three_d_secure; /* of them */
    struct span submit_type;
    /* What its intent gets. */
    struct span capture_method;
    struct span description;
    struct span intent_metadata; /* JSON object */
    struct span receipt_email;
    struct span setup_future_usage;
    struct span statement_descriptor;
    struct span statement_descriptor_suffix;
    struct span transfer_group;
    struct span secret; /* of the page's address */
    struct span url;    /* of the page */
    struct span payment_intent;
    struct span payer_name; /* as the payer entered them last */
    struct span payer_email;
    int64_t cards;      /* that were tried */
    int64_t expires_at; /* unix seconds */
    int64_t due;        /* when the sweeper must look at it; 0: never */
};

enum {
    PAYMENTS_CHECKOUT_COLUMN_INTENT,
    PAYMENTS_CHECKOUT_COLUMN_CUSTOMER,
    PAYMENTS_CHECKOUT_COLUMN_STATUS,
    PAYMENTS_CHECKOUT_COLUMN_DUE
};

extern const struct resource_type payments_checkout_type;

static inline bool
payments_checkout_is_open(const struct payments_checkout *checkout)
{
    return span_equal_cstr(checkout->status, "open");
}

/* --- checkout_items.c --- */

struct payments_checkout_item {
    struct span id; /* li_... */
    struct span name;
    struct span description;
    int64_t unit_amount, quantity; /* their product is no more than PAYMENTS_AMOUNT_MAX */
};

struct payments_checkout_items {
    uint32_t count;
    struct payments_checkout_item at[PAYMENTS_CHECKOUT_ITEMS_MAX];
};

/* The request's line_items into the session, with what they cost; false if answered. */
bool payments_checkout_items_take(struct resource_op *op, struct payments_checkout *checkout);
/* The stored ones. */
MUST_USE err_t payments_checkout_items_read(
    struct arena *arena,
    const struct payments_checkout *checkout,
    struct payments_checkout_items *ret_items);
/* A list envelope of the items from `first` on, at most `count`. */
void payments_checkout_items_write(
    struct json_writer *json,
    const struct payments_checkout *checkout,
    const struct payments_checkout_items *items,
    uint32_t first,
    uint32_t count);
void payments_checkout_item_list(struct resource_op *op);

/* --- checkout_flow.c: what the session and its intent do to one another --- */

/* An intent for flow->checkout, not stored; false if answered. */
bool payments_checkout_intent_new(struct payments_flow *flow);
/* The operation ends its flow with `answer` instead of the intent. */
void payments_checkout_answers(
    struct payments_flow *flow, void (*answer)(struct payments_flow *flow));
/* Expires flow->checkout, which is loaded (CHECKOUT-3), and cancels its intent, if it has one,
 * which is loaded and has no attempt open; then `answer`, or an error. */
void payments_checkout_end(struct payments_flow *flow, void (*answer)(struct payments_flow *flow));
/* The sweeper's entry. */
struct resource_sweep_kind;
void payments_checkout_drive(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock);

/* --- handlers, named in routes_checkout.c --- */

void payments_checkout_create(struct resource_op *op);
void payments_checkout_retrieve(struct resource_op *op);
void payments_checkout_update(struct resource_op *op);
void payments_checkout_list(struct resource_op *op);
void payments_checkout_expire(struct resource_op *op);
void payments_checkout_page_show(struct resource_op *op);
void payments_checkout_page_submit(struct resource_op *op);

#endif

/* The HTML of the page on which a payer pays a checkout session. */
#ifndef PAYMENTS_CHECKOUT_PAGE_H
#define PAYMENTS_CHECKOUT_PAGE_H

#include "checkout_form.h"

#include "base/buf.h"
#include "base/money.h"

#define PAYMENTS_CHECKOUT_PAGE_SIZE_MAX (2U << 20)

enum payments_checkout_page_kind {
    PAYMENTS_CHECKOUT_PAGE_FORM,
    PAYMENTS_CHECKOUT_PAGE_CODE,    /* a wallet's app is to scan the code */
    PAYMENTS_CHECKOUT_PAGE_PENDING, /* it is being paid */
    PAYMENTS_CHECKOUT_PAGE_OVER,    /* expired, or its payment was canceled */
    PAYMENTS_CHECKOUT_PAGE_UNKNOWN, /* there is nothing at this address */
};

struct payments_checkout_line {
    struct span name;
    struct span description;
    int64_t quantity;
    struct money cost; /* of all of them */
};

struct payments_checkout_page {
    enum payments_checkout_page_kind kind;
    struct span merchant;
    const struct payments_checkout_line *lines;
    uint32_t line_count;
    struct money total;
    const char *verb;       /* of the button: "Pay" */
    bool test_mode;         /* no money moves */
    struct span cancel_url; /* may be empty */
    /* FORM */
    bool takes_card;
    bool takes_code;
    bool asks_email;
    bool too_many; /* cards were tried */
    struct span name, email, expiry;
    struct payments_checkout_errors errors;
    struct span challenge; /* the bank's question, which is open; may be empty */
    /* CODE */
    struct span picture; /* relative to the page */
};

/* Appends the whole page. Every text is escaped. `out` has failed if it does not fit. */
void payments_checkout_page_write(struct buf *out, const struct payments_checkout_page *page);
/* For a request for this page that was refused with this status. */
void payments_checkout_refusal_write(int status, struct buf *out);

#endif

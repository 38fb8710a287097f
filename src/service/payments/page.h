/* The HTML of the page on which a customer authenticates. */
#ifndef PAYMENTS_PAGE_H
#define PAYMENTS_PAGE_H

#include "base/buf.h"
#include "base/money.h"
#include "base/span.h"

#include <stdbool.h>

#define PAYMENTS_PAGE_SIZE_MAX 32768

enum payments_page_kind {
    PAYMENTS_PAGE_FORM,
    PAYMENTS_PAGE_SUCCEEDED,
    PAYMENTS_PAGE_PENDING, /* answered; the outcome is not known yet */
    PAYMENTS_PAGE_FAILED,
    PAYMENTS_PAGE_UNKNOWN, /* there is nothing at this address */
};

struct payments_page {
    enum payments_page_kind kind;
    bool setup;           /* a card is saved; otherwise something is paid */
    struct money amount;  /* of what is paid */
    struct span brand;    /* FORM: of the card */
    struct span last4;    /* likewise */
    struct span location; /* where the customer goes afterwards; may be empty */
};

enum payments_qr_page_kind {
    PAYMENTS_QR_PAGE_CODE,
    PAYMENTS_QR_PAGE_PENDING, /* a wallet pays it right now */
    PAYMENTS_QR_PAGE_PAID,
    PAYMENTS_QR_PAGE_OVER,    /* expired, canceled, withdrawn */
    PAYMENTS_QR_PAGE_UNKNOWN, /* there is nothing at this address */
};

/* The page around a code's picture, which is at `picture` (relative to the page). `amount` may be
 * NULL: the payer enters it. Of another kind than CODE: why there is no code; neither is read. */
void payments_qr_page_write(
    struct buf *out,
    enum payments_qr_page_kind kind,
    struct span picture,
    const struct money *amount);

/* For a request for one of these pages that was refused with this status: nothing of it was done,
 * or it is not known. */
void payments_page_refusal_write(int status, struct buf *out);

/* For other pages of this look: text, escaped; all from the beginning to the end of the heading,
 * with `head` among the elements of its head; and what closes them. */
void payments_page_text_write(struct buf *out, struct span text);
void payments_page_begin_write(struct buf *out, struct span title, const char *head);
void payments_page_end_write(struct buf *out);

/* Appends the whole page. Every text is escaped. `out` has failed if it does not fit. */
void payments_page_write(struct buf *out, const struct payments_page *page);

#endif

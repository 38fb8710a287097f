/*
 * The states of a checkout session, and the one table that says which move is legal.
 *
 *        payments_checkout_create
 *                  |
 *                  v      confirm, to itself: the payer tries to pay (checkout_page.c)
 *                open ---------------------------------------------+
 *                  |                                               |
 *                  | pay: its intent is authorized or paid         | expire: its time is over, or
 *                  v                                               v   the merchant says so
 *              complete -- capture, drop, to itself             expired   drop: its intent was
 *                                                                         canceled
 *
 * CHECKOUT-1  Once over it stays over: nothing leads out of complete and expired.
 */
#ifndef PAYMENTS_CHECKOUT_MACHINE_H
#define PAYMENTS_CHECKOUT_MACHINE_H

#include "base/machine.h"

enum payments_checkout_move {
    PAYMENTS_CHECKOUT_CONFIRM, /* its payer tries to pay */
    PAYMENTS_CHECKOUT_PAY,     /* its intent is authorized, or paid at once */
    PAYMENTS_CHECKOUT_CAPTURE, /* what was authorized is paid */
    PAYMENTS_CHECKOUT_DROP,    /* its intent was canceled */
    PAYMENTS_CHECKOUT_EXPIRE,  /* without an intent */
    PAYMENTS_CHECKOUT_MOVE_COUNT,
};

extern const struct machine payments_checkout_machine;

/* The public API's words, NULL behind the last. */
extern const char *const payments_checkout_statuses[];

/* The move on a stored status, which is ours: one that is none is a bug. False if it is illegal;
 * otherwise *status is the new one. */
bool payments_checkout_move(struct span *status, enum payments_checkout_move move);

#endif

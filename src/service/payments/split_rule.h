/*
 * How much of a split payment is the wallet's. The card pays first and gets back last: of what is
 * captured and not refunded, the card has paid as much as it was authorized for (or captured), and
 * the wallet the rest. It makes no difference whether a smaller amount is captured, or the whole
 * and then some of it refunded.
 *
 * Amounts in the public API's units. Pure functions, any thread.
 */
#ifndef PAYMENTS_SPLIT_RULE_H
#define PAYMENTS_SPLIT_RULE_H

#include <stdint.h>

/* SPLIT-1  The wallet's part of capturing `amount`, of which the card is authorized for
 *          `card_authorized`, more than zero: what is beyond that. */
int64_t payments_split_of_capture(int64_t amount, int64_t card_authorized);

/* SPLIT-2  The wallet's part of refunding `amount`: first all that it has paid and not got back,
 *          `wallet_left`. */
int64_t payments_split_of_refund(int64_t amount, int64_t wallet_left);

#endif

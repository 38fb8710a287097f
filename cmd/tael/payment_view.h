/* Payment intents and refunds as people read them. */
#ifndef TAEL_PAYMENT_VIEW_H
#define TAEL_PAYMENT_VIEW_H

#include "client.h"
#include "show.h"

/* The parts of an intent that the views below want in full: appended to a form or a query. */
void payment_view_expand(struct buf *form, const char *prefix);

/* A payment intent, with its latest charge expanded or not, as a list of names and values. */
bool payment_view_print(const struct json_value *intent);
/* An answer's `data` as a table. */
bool payment_view_list(const struct json_value *data);
bool payment_view_refund(const struct json_value *refund);

#endif

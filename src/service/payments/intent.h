/* What intent.c and intent_update.c share. */
#ifndef PAYMENTS_INTENT_H
#define PAYMENTS_INTENT_H

#include "flow.h"

/* Into flow->intent, what may be said of one when it is created and when it is updated; false if
 * answered. */
bool payments_intent_read(struct payments_flow *flow);
/* Saves flow->intent, with flow->method if there is one, and answers: nobody pays yet. `event`:
 * NULL for an update, of which the public list has none. */
void payments_intent_save_unconfirmed(struct payments_flow *flow, const char *event);

#endif

/* What the flow of an authorization (authorize.c) and its ends (authorize_end.c) share. */
#ifndef PAYMENTS_AUTHORIZE_H
#define PAYMENTS_AUTHORIZE_H

#include "flow.h"

/* Each ends the attempt and the operation. The rail said yes, and the books have it: captured, or
 * held. */
void payments_authorize_approved(struct payments_flow *flow);
/* Nothing stands, at the rail or in the books; flow->rail.answer says why. */
void payments_authorize_declined(struct payments_flow *flow);
/* The card holder is asked first. */
void payments_authorize_challenged(struct payments_flow *flow);

/* What is agreed about the card: the option of the card goes before that of the intent. */
struct span payments_agreed_usage(const struct payments_intent *intent);

#endif

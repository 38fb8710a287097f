/* The roles' descriptors, each in its own file. */
#ifndef TAEL_ROLES_H
#define TAEL_ROLES_H

#include "node.h"

extern const struct role role_ledger;   /* the ledger's engine on its journal */
extern const struct role role_cards;    /* issuer simulator, vault, card rail */
extern const struct role role_payments; /* documents, resource runtime, payments */
extern const struct role role_events;   /* webhooks, and their way out */
extern const struct role role_api;      /* the HTTP front and its listeners */

#endif

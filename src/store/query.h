/* What a query asks, for every kind of store. */
#ifndef STORE_QUERY_H
#define STORE_QUERY_H

#include "store/store.h"

/* Everything that a query asks but the account and its side. */
bool store_query_matches(const struct store_query *query, const struct ledger_event *event);

#endif

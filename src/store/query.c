#include "query.h"

bool
store_query_matches(const struct store_query *query, const struct ledger_event *event)
{
    const struct ledger_transfer *transfer = &event->transfer;
    return event->timestamp >= query->timestamp_min &&
           (query->timestamp_max == 0 || event->timestamp <= query->timestamp_max) &&
           (query->user_data_128 == 0 || query->user_data_128 == transfer->user_data_128) &&
           (query->user_data_64 == 0 || query->user_data_64 == transfer->user_data_64) &&
           (query->user_data_32 == 0 || query->user_data_32 == transfer->user_data_32) &&
           (query->ledger == 0 || query->ledger == transfer->ledger) &&
           (query->code == 0 || query->code == transfer->code) &&
           (query->wanted == NULL || query->wanted(query->wanted_context, event));
}

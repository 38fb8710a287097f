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

const char *
store_order_name(enum store_order order)
{
    switch (order) {
    case STORE_ORDER_ACCOUNT:
        return "account";
    case STORE_ORDER_USER_DATA_128:
        return "user-data-128";
    case STORE_ORDER_USER_DATA_64:
        return "user-data-64";
    case STORE_ORDER_USER_DATA_32:
        return "user-data-32";
    case STORE_ORDER_CODE:
        return "code";
    case STORE_ORDER_LEDGER:
        return "ledger";
    case STORE_ORDER_COUNT:
        break;
    }
    UNREACHABLE();
}

err_t
store_orders_parse(const char *text, uint32_t *ret_orders)
{
    struct span rest = span_from_cstr(text);
    uint32_t orders = 0;
    while (rest.size > 0) {
        struct span name = span_cut(&rest, ',');
        uint32_t found = span_equal(name, SPAN("all")) ? (1u << STORE_ORDER_COUNT) - 1 : 0;
        for (uint32_t i = 0; i < STORE_ORDER_COUNT && found == 0; i++) {
            if (span_equal(name, span_from_cstr(store_order_name((enum store_order)i)))) {
                found = 1u << i;
            }
        }
        if (found == 0) {
            return ERR_INVALID;
        }
        orders |= found;
    }
    *ret_orders = orders;
    return ERR_OK;
}

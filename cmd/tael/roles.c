#include "roles.h"

/* Each may use what comes before it. */
const struct role *const node_roles[] = {
    &role_operators, &role_peers,   &role_shards,   &role_traces, &role_ledger,
    &role_vault,     &role_cards,   &role_bank,     &role_cache,  &role_documents,
    &role_sweep,     &role_wallets, &role_mobile,   &role_events, &role_coordinator,
    &role_payments,  &role_broker,  &role_requests, &role_api,    &role_internal,
};
const size_t node_role_count = sizeof(node_roles) / sizeof(node_roles[0]);

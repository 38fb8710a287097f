/* Participants and transactions, as tables. */
#include "private.h"
#include "resource/pages.h"

#define ROLL_MAX_S INT64_C(604800)

static const char *const open_values[] = {"true", NULL};
static const char *const statuses[] = {
    "preparing",
    "prepared",
    "committing",
    "committed",
    "commit_stuck",
    "aborting",
    "aborted",
    "abort_stuck",
    NULL};
static const char *const resolutions[] = {"retry", "conclude", NULL};

static const struct resource_param create_params[] = {
    {.name = "name", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 100},
    {.name = "url", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5000},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param update_params[] = {
    {.name = "name", .kind = RESOURCE_PARAM_TEXT, .maximum = 100},
    {.name = "url", .kind = RESOURCE_PARAM_TEXT, .maximum = 5000},
    {.name = "disabled", .kind = RESOURCE_PARAM_BOOLEAN},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param roll_params[] = {
    {.name = "expires_in", .kind = RESOURCE_PARAM_INTEGER, .minimum = 0, .maximum = ROLL_MAX_S},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};
static const struct resource_param participant_list_params[] = {RESOURCE_LIST_PARAMS};
static const struct resource_param transaction_list_params[] = {
    {.name = "open", .kind = RESOURCE_PARAM_ENUM, .values = open_values},
    {.name = "owner", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "status", .kind = RESOURCE_PARAM_ENUM, .values = statuses},
    RESOURCE_LIST_PARAMS,
};
static const struct resource_param resolve_params[] = {
    {.name = "resolution", .kind = RESOURCE_PARAM_ENUM, .required = true, .values = resolutions},
    {.name = "note", .kind = RESOURCE_PARAM_TEXT, .maximum = 1000},
    RESOURCE_EXPAND_PARAM,
};

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])
#define PARTICIPANTS  .permission = "participants", .answers = &coordinator_participant_type
#define TRANSACTIONS  .permission = "transactions", .answers = &coordinator_transaction_type

const struct resource_route coordinator_route_table[] = {
    {.method = "POST",
     .pattern = "/v1/participants",
     .handler = coordinator_participant_create,
     PARAMS(create_params),
     .flags = RESOURCE_NOT_KEPT,
     PARTICIPANTS},
    {.method = "GET",
     .pattern = "/v1/participants",
     .handler = coordinator_participant_list,
     PARAMS(participant_list_params),
     PARTICIPANTS,
     .answers_list = true},
    {.method = "GET",
     .pattern = "/v1/participants/:id",
     .handler = coordinator_participant_retrieve,
     PARAMS(retrieve_params),
     PARTICIPANTS},
    {.method = "POST",
     .pattern = "/v1/participants/:id",
     .handler = coordinator_participant_update,
     PARAMS(update_params),
     PARTICIPANTS},
    {.method = "POST",
     .pattern = "/v1/participants/:id/roll_secret",
     .handler = coordinator_participant_roll,
     PARAMS(roll_params),
     .flags = RESOURCE_NOT_KEPT,
     PARTICIPANTS},
    {.method = "GET",
     .pattern = "/v1/transactions",
     .handler = coordinator_transaction_list,
     PARAMS(transaction_list_params),
     TRANSACTIONS,
     .answers_list = true},
    {.method = "GET",
     .pattern = "/v1/transactions/:id",
     .handler = coordinator_transaction_retrieve,
     PARAMS(retrieve_params),
     TRANSACTIONS},
    {.method = "POST",
     .pattern = "/v1/transactions/:id/resolve",
     .handler = coordinator_transaction_resolve,
     PARAMS(resolve_params),
     TRANSACTIONS},
};
const uint32_t coordinator_route_count =
    sizeof(coordinator_route_table) / sizeof(coordinator_route_table[0]);

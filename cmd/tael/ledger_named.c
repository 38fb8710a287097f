/*
 * Which accounts a name means. In a ledger that is one it is the id that the chart derives; in one
 * of several shards the account is in the slot of its merchant, and the platform has one for each
 * slot (BOOKS-3). A client cannot tell which of the two it talks to, so the server's accounts
 * decide.
 */
#include "ledger_list.h"

#include "commit/records.h"
#include "port/ledger.h"
#include "shard/shard.h"

#include "base/assert.h"
#include "json/json.h"

#include <stdlib.h>

static_assert(LEDGER_LIST_MAX <= PORT_LEDGER_CONSISTENT_MAX, "a list can be read consistently");

#define SLOT_BITS 16 /* what placing an id changes of it */

void
ledger_write_lookup(struct buf *out, const u128 *accounts, size_t count, bool consistent)
{
    struct json_writer json;
    json_begin(&json, out);
    json_object_begin(&json);
    json_key(&json, "accounts");
    json_array_begin(&json);
    for (size_t i = 0; i < count; i++) {
        json_u128_text(&json, accounts[i]);
    }
    json_array_end(&json);
    json_member_bool(&json, "consistent", consistent);
    json_object_end(&json);
}

/* Keeps those of a page that are `account` wherever it is placed. Returns how many the page had,
 * and the time of its last. */
static uint64_t
keep(const struct json_value *page, u128 account, struct ledger_named *named, uint64_t *ret_last_ns)
{
    const struct json_value *one = page == NULL ? NULL : page->first_child;
    for (; one != NULL && named->count < LEDGER_LIST_MAX; one = one->next) {
        u128 id = ledger_member_u128(one, "id");
        if (id >> SLOT_BITS == account >> SLOT_BITS) {
            named->ids[named->count] = id;
            named->count++;
        }
        *ret_last_ns = (uint64_t)ledger_member_u128(one, "timestamp");
    }
    return page == NULL ? 0 : page->child_count;
}

/* One merchant's: at either of two places. A wallet's is in its merchant's slot, whom nobody named,
 * or in its own: it is looked for by the number that it carries. */
static int
find_merchants(
    struct client *client, const struct ledger_filter *filter, struct ledger_named *named)
{
    const u128 places[] = {
        filter->account,
        shard_id_place(filter->account, shard_slot(span_from_cstr(filter->merchant))),
    };
    struct buf body;
    struct client_answer answer;
    buf_init(&body, LEDGER_BODY_MAX);
    ledger_write_lookup(&body, places, sizeof(places) / sizeof(places[0]), false);
    int status = ledger_post(client, "/v1/ledger/lookup", &body, &answer);
    if (status == COMMAND_GO_ON) {
        uint64_t last_ns = 0;
        (void)keep(client_member(answer.root, "accounts"), filter->account, named, &last_ns);
    }
    client_answer_release(&answer);
    buf_release(&body);
    return status;
}

/* The platform's in every slot, or a wallet's in any. A page over shards may be short although more
 * follows, and is empty only at the end. */
static int
find_everywhere(
    struct client *client, const struct ledger_filter *filter, struct ledger_named *named)
{
    const struct ledger_list_options options = {.code = filter->role, .limit = LEDGER_LIST_MAX};
    struct ledger_filter all = {.ledger = filter->ledger, .wallet = filter->wallet};
    uint64_t seen = 1;
    int status = COMMAND_GO_ON;
    while (status == COMMAND_GO_ON && seen > 0 && named->count < LEDGER_LIST_MAX) {
        struct buf body;
        struct client_answer answer;
        buf_init(&body, LEDGER_BODY_MAX);
        ledger_filter_write(&body, "query_accounts", &options, &all);
        status = ledger_post(client, "/v1/ledger/query", &body, &answer);
        if (status == COMMAND_GO_ON) {
            uint64_t last_ns = 0;
            seen = keep(client_member(answer.root, "accounts"), filter->account, named, &last_ns);
            ASSERT(last_ns < UINT64_MAX);
            all.since_ns = last_ns + 1;
        }
        client_answer_release(&answer);
        buf_release(&body);
    }
    return status;
}

int
ledger_named_find(
    struct client *client, const struct ledger_filter *filter, struct ledger_named **ret_named)
{
    ASSERT(filter->account != 0);
    struct ledger_named *named = calloc(1, sizeof(*named));
    if (named == NULL) {
        return COMMAND_FAILED;
    }
    int status = filter->role == 0 ? COMMAND_GO_ON
                 : filter->merchant[0] != '\0' && filter->wallet == 0
                     ? find_merchants(client, filter, named)
                     : find_everywhere(client, filter, named);
    if (status != COMMAND_GO_ON) {
        free(named);
        return status;
    }
    if (named->count == 0) { /* an id, or a name that nothing has: the server answers "none" */
        named->ids[0] = filter->account;
        named->count = 1;
    }
    *ret_named = named;
    return COMMAND_GO_ON;
}

int
ledger_named_list(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter,
    struct ledger_named **ret_named)
{
    struct ledger_named *named = calloc(1, sizeof(*named));
    if (named == NULL) {
        return COMMAND_FAILED;
    }
    struct buf body;
    struct client_answer answer;
    buf_init(&body, LEDGER_BODY_MAX);
    ledger_filter_write(&body, "query_accounts", options, filter);
    int status = ledger_post(client, "/v1/ledger/query", &body, &answer);
    if (status == COMMAND_GO_ON) {
        const struct json_value *list = client_member(answer.root, "accounts");
        named->is_part = list != NULL && list->child_count >= (uint64_t)options->limit;
        const struct json_value *one = list == NULL ? NULL : list->first_child;
        for (; one != NULL && named->count < LEDGER_LIST_MAX; one = one->next) {
            u128 id = ledger_member_u128(one, "id");
            if (!commit_id_is_reserved(id)) {
                named->ids[named->count] = id;
                named->count++;
            }
        }
    }
    client_answer_release(&answer);
    buf_release(&body);
    if (status != COMMAND_GO_ON) {
        free(named);
        return status;
    }
    *ret_named = named;
    return COMMAND_GO_ON;
}

/* Operators: what is in doubt between the ledger's shards, and concluding it. */
#include "roles.h"

#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 256

static void
write_id(struct json_writer *json, const char *name, u128 id)
{
    char text[U128_DECIMAL_SIZE];
    (void)u128_format(id, text);
    json_member_cstr(json, name, text);
}

static const char *
shard_of(const struct node *node, uint16_t slot)
{
    const struct shard_map *map = shards_router_map(node->router);
    return map->shards[map->owners[slot]].name;
}

/* Who decides, and of whom: known once the marker was read. */
static void
write_header(struct json_writer *json, const struct node *node, const struct shards_doubt *doubt)
{
    if (!doubt->has_header) {
        json_member_null(json, "protocol");
        json_member_null(json, "owner");
        return;
    }
    bool three = commit_protocol(&doubt->header) == COMMIT_3PC;
    json_member_cstr(json, "protocol", three ? "3pc" : "2pc");
    json_member_cstr(json, "owner", three ? "a majority" : shard_of(node, doubt->header.slots[0]));
    json_key(json, "slots");
    json_array_begin(json);
    for (uint32_t i = 0; i < doubt->header.member_count; i++) {
        json_i64(json, doubt->header.slots[i]);
    }
    json_array_end(json);
}

static void
write_doubt(struct json_writer *json, const struct node *node, const struct shards_doubt *doubt)
{
    char trace[33];
    json_object_begin(json);
    write_id(json, "id", doubt->name);
    json_member_i64(json, "slot", doubt->slot);
    json_member_cstr(json, "shard", shard_of(node, doubt->slot));
    json_member_i64(json, "pending_transfers", doubt->pending_count);
    json_member_i64(json, "since", (int64_t)(doubt->since_ns / OS_NS_PER_S));
    json_member_i64(json, "age_ms", (int64_t)doubt->known_ms);
    json_member_cstr(json, "state", doubt->state);
    json_member_bool(json, "resolving", doubt->resolving);
    write_header(json, node, doubt);
    if (trace_context_is_set(&doubt->trace)) {
        (void)snprintf(
            trace,
            sizeof(trace),
            "%016" PRIx64 "%016" PRIx64,
            (uint64_t)(doubt->trace.trace_id >> 64),
            (uint64_t)doubt->trace.trace_id);
        json_member_cstr(json, "trace_id", trace);
    } else {
        json_member_null(json, "trace_id");
    }
    json_object_end(json);
}

static void
list(struct node *node, struct net_answer *answer)
{
    static struct shards_doubt doubts[SHOWN_MAX]; /* of peers_loop alone */
    uint32_t count = shards_cross_doubts(node->cross, doubts, SHOWN_MAX);
    struct json_writer json;
    json_begin(&json, &answer->body);
    json_object_begin(&json);
    json_key(&json, "transactions");
    json_array_begin(&json);
    for (uint32_t i = 0; i < count; i++) {
        write_doubt(&json, node, &doubts[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
    answer->status = 200;
}

static void
refuse(struct net_answer *answer, unsigned status, const char *message)
{
    struct json_writer json;
    json_begin(&json, &answer->body);
    json_object_begin(&json);
    json_key(&json, "error");
    json_object_begin(&json);
    json_member_cstr(&json, "message", message);
    json_object_end(&json);
    json_object_end(&json);
    answer->status = status;
}

/* Who asked for it, and for what, is in the log whatever comes of it. */
static void
conclude(struct node *node, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    struct span text = exchange->body;
    char peer[NET_ADDRESS_TEXT_SIZE];
    char id[U128_DECIMAL_SIZE];
    u128 name = 0;
    if (text.size > 0 && text.data[text.size - 1] == '\n') {
        text = span_slice(text, 0, text.size - 1);
    }
    if (!u128_parse(text, &name)) {
        refuse(answer, 400, "the body is to be the id of a transaction, in decimal digits");
        return;
    }
    err_t result = shards_cross_conclude(node->cross, name);
    net_address_format(&exchange->peer, peer);
    (void)u128_format(name, id);
    TRACE_LOG(
        &node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator concludes a transaction",
        trace_cstr("transaction", id),
        trace_cstr("from", peer),
        trace_cstr("result", result == ERR_OK ? "begun" : err_text(result)));
    if (result != ERR_OK) {
        refuse(answer, 404, "no such transaction is in doubt, as far as this process knows");
        return;
    }
    struct json_writer json;
    json_begin(&json, &answer->body);
    json_object_begin(&json);
    write_id(&json, "id", name);
    json_member_cstr(&json, "state", "concluding");
    json_object_end(&json);
    answer->status = 202;
}

void
role_shards_transactions(struct node *node, struct net_exchange *exchange)
{
    exchange->answer.content_type = SPAN("application/json");
    if (!node_has_started(node) || node->cross == NULL) {
        refuse(
            &exchange->answer,
            404,
            "this process routes to no shards (ledger-shards), or has not started yet");
    } else if (exchange->method == HTTP_METHOD_POST) {
        conclude(node, exchange);
    } else if (exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD) {
        list(node, &exchange->answer);
    } else {
        refuse(&exchange->answer, 405, "GET shows what is in doubt, POST concludes one");
    }
}

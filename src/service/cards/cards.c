#include "cards/cards.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/span.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cards {
    struct port_rail rail;
    struct cards_parts parts;
    struct list free; /* of struct slot */
    struct slot *slots;
    _Atomic uint64_t sent, approved, declined, unknown, busy, in_flight;
};

/* One request under way; there are in_flight_max of them, made at the start. */
struct slot {
    struct list_link link;
    struct cards *cards;
    struct port_network_request network;
    struct trace_span span;
};

struct cards_settings
cards_settings_default(void)
{
    return (struct cards_settings){.in_flight_max = 16384};
}

static void
run_rail_done(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    request->done(request);
}

static void
answer(struct port_rail_request *request)
{
    request->task.run = run_rail_done;
    os_post(request->reply_to, &request->task);
}

static void
count(struct cards *cards, enum port_rail_outcome outcome)
{
    switch (outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_PENDING:
        atomic_fetch_add(&cards->approved, 1);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        atomic_fetch_add(&cards->declined, 1);
        return;
    case PORT_RAIL_UNKNOWN:
        atomic_fetch_add(&cards->unknown, 1);
        return;
    case PORT_RAIL_NOT_FOUND:
    case PORT_RAIL_CHALLENGE: /* neither: the next one tells */
        return;
    }
    UNREACHABLE();
}

/* --- spans: the rail is called, and calls the network --- */

static void
span_start(struct slot *slot, const struct port_rail_request *request)
{
    static const char *const names[] = {
        [PORT_RAIL_AUTHORIZE] = "rail authorize",
        [PORT_RAIL_CAPTURE] = "rail capture",
        [PORT_RAIL_VOID] = "rail void",
        [PORT_RAIL_REFUND] = "rail refund",
        [PORT_RAIL_REPORT] = "rail report",
        [PORT_RAIL_INCREMENT] = "rail increment",
        [PORT_RAIL_PAY] = "rail pay",
        [PORT_RAIL_NEWS] = "rail news",
        [PORT_RAIL_EVIDENCE] = "rail evidence",
        [PORT_RAIL_ACCEPT] = "rail accept",
    };
    trace_span_start_at(
        &request->trace,
        TRACE_CLIENT,
        names[request->operation],
        request->trace_began_ns,
        &slot->span);
    trace_span_label(&slot->span, "tael.rail", "card");
    slot->network.trace = slot->span.context;
}

static void
span_end(struct slot *slot, const struct port_rail_request *request)
{
    static const char *const outcomes[] = {
        [PORT_RAIL_APPROVED] = "approved",
        [PORT_RAIL_DECLINED] = "declined",
        [PORT_RAIL_PENDING] = "pending",
        [PORT_RAIL_FAILED] = "failed",
        [PORT_RAIL_NOT_FOUND] = "not_found",
        [PORT_RAIL_UNKNOWN] = "unknown",
        [PORT_RAIL_CHALLENGE] = "challenge",
    };
    const char *outcome = outcomes[request->answer.outcome];
    if (request->error != ERR_OK) {
        trace_span_fail(&slot->span, err_name(request->error));
    } else {
        trace_span_label(&slot->span, "tael.rail.outcome", outcome);
        trace_span_text(
            &slot->span, "tael.rail.network_code", span_from_cstr(request->answer.network_code));
        if (request->answer.outcome == PORT_RAIL_UNKNOWN) {
            trace_span_fail(&slot->span, outcome);
        }
    }
    trace_span_end(&slot->span);
}

static void
network_done(struct port_network_request *network)
{
    struct slot *slot = CONTAINER_OF(network, struct slot, network);
    struct cards *cards = slot->cards;
    struct port_rail_request *request = network->rail;
    request->error = network->error;
    request->answer = network->answer;
    if (network->error == ERR_OK) {
        count(cards, network->answer.outcome);
    }
    atomic_fetch_sub(&cards->in_flight, 1);
    span_end(slot, request);
    list_push_back(&cards->free, &slot->link);
    answer(request);
}

static void
run_submit(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    struct cards *cards = request->rail;
    struct list_link *link = list_pop_front(&cards->free);
    if (link == NULL) {
        atomic_fetch_add(&cards->busy, 1);
        request->error = ERR_BUSY;
        answer(request);
        return;
    }
    struct slot *slot = CONTAINER_OF(link, struct slot, link);
    memset(&slot->network, 0, sizeof(slot->network));
    slot->network.reply_to = os_loop_executor(cards->parts.loop);
    slot->network.done = network_done;
    slot->network.rail = request;
    span_start(slot, request);
    atomic_fetch_add(&cards->sent, 1);
    atomic_fetch_add(&cards->in_flight, 1);
    cards->parts.network->submit(cards->parts.network, &slot->network);
}

static void
rail_submit(struct port_rail *rail, struct port_rail_request *request)
{
    struct cards *cards = CONTAINER_OF(rail, struct cards, rail);
    ASSERT(request->done != NULL);
    request->rail = cards;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = run_submit;
    os_post(os_loop_executor(cards->parts.loop), &request->task);
}

err_t
cards_create(const struct cards_parts *parts, struct cards **ret_cards)
{
    struct cards *cards = calloc(1, sizeof(*cards));
    if (cards == NULL) {
        return ERR_MEMORY;
    }
    cards->parts = *parts;
    cards->slots = calloc(parts->settings.in_flight_max, sizeof(*cards->slots));
    if (cards->slots == NULL) {
        free(cards);
        return ERR_MEMORY;
    }
    list_init(&cards->free);
    for (uint32_t i = 0; i < parts->settings.in_flight_max; i++) {
        cards->slots[i].cards = cards;
        list_push_back(&cards->free, &cards->slots[i].link);
    }
    cards->rail.submit = rail_submit;
    cards->rail.name = "card";
    cards->rail.simulated = parts->network->simulated;
    *ret_cards = cards;
    return ERR_OK;
}

void
cards_destroy(struct cards **cards)
{
    if (*cards != NULL) {
        free((*cards)->slots);
        free(*cards);
        *cards = NULL;
    }
}

struct port_rail *
cards_rail(struct cards *cards)
{
    return &cards->rail;
}

struct cards_counters
cards_counters(const struct cards *cards)
{
    return (struct cards_counters){
        .sent = atomic_load(&cards->sent),
        .approved = atomic_load(&cards->approved),
        .declined = atomic_load(&cards->declined),
        .unknown = atomic_load(&cards->unknown),
        .busy = atomic_load(&cards->busy),
        .in_flight = atomic_load(&cards->in_flight),
    };
}

/* Requests: from the vault to a connection, and their answers back. */
#include "network/client.h"

#include "base/assert.h"
#include "client_private.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

struct network_client_settings
network_client_settings_default(void)
{
    return (struct network_client_settings){
        .dialect = &iso8583_ascii,
        .connections = 2,
        .in_flight_max = 4096,
        .echo_ms = 60000,
        .answer_ms = 10000,
        .repeat_ms = 2000,
        .retry_max_ms = 10000,
        .category = 5999,
    };
}

/* ------------------------------------------------------------------------- a request's end --- */

static void
run_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
answer(struct port_network_request *request, err_t error)
{
    explicit_bzero(&request->card, sizeof(request->card));
    request->error = error;
    trace_span_add(
        &request->trace, "card network", request->trace_began_ns, trace_now_ns(&request->trace));
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static const struct port_rail_request *
rail_of(const struct network_pending *pending)
{
    ASSERT(pending->request != NULL);
    return pending->reverses ? &pending->reversal : pending->request->rail;
}

/* Out of its connection's list, or of those that wait. */
static void
detach(struct network_pending *pending)
{
    struct network_client *client = pending->client;
    list_remove(&pending->link);
    if (pending->on != NULL) {
        ASSERT(pending->on->pending_count > 0);
        pending->on->pending_count--;
        pending->on = NULL;
        network_sent_remove(pending);
    } else {
        atomic_fetch_sub(&client->waiting_count, 1);
    }
    net_timer_cancel(client->parts.loop, &pending->again);
}

static void
pending_end(struct network_pending *pending, const struct port_rail_answer *result, err_t error)
{
    struct network_client *client = pending->client;
    struct port_network_request *request = pending->request;
    ASSERT(request != NULL);
    detach(pending);
    net_timer_cancel(client->parts.loop, &pending->deadline);
    if (rail_of(pending)->operation == PORT_RAIL_VOID) {
        atomic_fetch_sub(&client->reversals, 1);
    }
    pending->request = NULL;
    list_push_back(&client->free, &pending->link);
    request->answer = *result;
    answer(request, error);
}

static void
pending_unknown(struct network_pending *pending)
{
    const struct port_rail_answer unknown = {.outcome = PORT_RAIL_UNKNOWN};
    bool sent = pending->trace.stan != 0;
    if (sent) {
        network_client_count(pending->client, pending->type, NULL);
    }
    pending_end(pending, &unknown, sent ? ERR_OK : ERR_BUSY);
}

static void
on_deadline(struct net_timer *timer)
{
    pending_unknown(CONTAINER_OF(timer, struct network_pending, deadline));
}

/* -------------------------------------------------------------------------------- sending --- */

static void
wait_for_connection(struct network_pending *pending)
{
    list_push_back(&pending->client->waiting, &pending->link);
    atomic_fetch_add(&pending->client->waiting_count, 1);
}

static err_t
build(struct network_pending *pending, bool repeat, const struct network_trace *trace)
{
    struct network_client *client = pending->client;
    const struct port_rail_request *rail = rail_of(pending);
    struct network_request request = {
        .identity = &client->identity,
        .rail = rail,
        .card = &pending->request->card,
        .trace = *trace,
        .original_type = 100,
        .part = pending->part,
        .repeat = repeat,
    };
    const struct network_recent *original = network_recent_find(client, rail->original_id);
    if (original != NULL) {
        request.original_type = original->type;
        request.original = original->trace;
    }
    return network_request_build(&request, &client->message);
}

/* It has no room in a message, so it was not sent, under any id, ever. */
static void
refuse(struct network_pending *pending)
{
    const struct port_rail_answer too_long = {
        .outcome = PORT_RAIL_DECLINED,
        .network_code = "30",
    };
    const struct port_rail_answer refused = {
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "card_declined",
        .decline_code = "invalid_amount",
        .network_code = "13",
    };
    pending_end(pending, pending->part > 0 ? &too_long : &refused, ERR_OK);
}

/* An error: nothing was sent, and it is in no list. */
static err_t
send_as(
    struct network_pending *pending,
    struct network_link *link,
    bool repeat,
    const struct network_trace *trace)
{
    struct network_client *client = pending->client;
    err_t result = build(pending, repeat, trace);
    uint16_t type = client->message.type;
    if (result == ERR_OK) {
        result = network_sent_insert(pending, trace);
    }
    if (result == ERR_OK) {
        result = network_link_send(link, &client->message);
        if (result != ERR_OK) {
            network_sent_remove(pending);
        }
    }
    iso8583_wipe(&client->message);
    TRY(result);
    pending->trace = *trace;
    pending->type = type;
    pending->on = link;
    link->pending_count++;
    list_push_back(&link->pending, &pending->link);
    if (repeat) {
        atomic_fetch_add(&client->repeats, 1);
    }
    if (network_may_repeat(rail_of(pending)->operation)) {
        uint64_t at_ns = net_now_ns() + client->parts.settings.repeat_ms * OS_NS_PER_MS;
        err_t armed = net_timer_arm(client->parts.loop, &pending->again, at_ns);
        (void)armed; /* without one, once must do: whoever asked asks again */
    }
    return ERR_OK;
}

/* Now, or when a connection is there. It is in no list. */
static void
pending_send(struct network_pending *pending)
{
    struct network_client *client = pending->client;
    const struct port_rail_request *rail = rail_of(pending);
    struct network_link *link = network_link_pick(client);
    /* An inquiry has no id of its own: each is new. */
    bool named = !network_is_inquiry(rail->operation);
    const struct network_recent *before = named ? network_recent_find(client, rail->id) : NULL;
    bool repeat = before != NULL && before->part == pending->part &&
                  network_sent_find(client, &before->trace) == NULL;
    if (link == NULL) {
        wait_for_connection(pending);
        return;
    }
    struct network_trace trace = repeat ? before->trace : network_client_trace(client);
    err_t result = send_as(pending, link, repeat, &trace);
    if (result == ERR_RANGE || result == ERR_INVALID) {
        wait_for_connection(pending);
        refuse(pending);
    } else if (result != ERR_OK) {
        wait_for_connection(pending);
    } else if (named) {
        const struct network_recent recent = {
            .id = rail->id,
            .trace = trace,
            .type = network_request_type(rail, false),
            .part = pending->part,
        };
        network_recent_keep(client, &recent);
    }
}

static void
on_again(struct net_timer *timer)
{
    struct network_pending *pending = CONTAINER_OF(timer, struct network_pending, again);
    detach(pending);
    pending_send(pending);
}

void
network_client_serve(struct network_client *client)
{
    struct list waiting;
    list_init(&waiting);
    struct list_link *link;
    while ((link = list_pop_front(&client->waiting)) != NULL) {
        list_push_back(&waiting, link);
    }
    while ((link = list_pop_front(&waiting)) != NULL) {
        atomic_fetch_sub(&client->waiting_count, 1);
        pending_send(CONTAINER_OF(link, struct network_pending, link));
    }
}

void
network_client_lost(struct network_client *client, struct network_link *link)
{
    (void)client;
    struct list_link *first;
    while ((first = list_first(&link->pending)) != NULL) {
        struct network_pending *pending = CONTAINER_OF(first, struct network_pending, link);
        if (network_may_repeat(rail_of(pending)->operation)) {
            detach(pending);
            pending_send(pending);
        } else {
            pending_unknown(pending); /* NETWORK-1 */
        }
    }
}

/* ------------------------------------------------------------------------------- answering --- */

/* The host has authorized less than was asked for, which nobody allowed it. */
static void
reverse_partial(struct network_pending *pending)
{
    const struct port_rail_request *rail = pending->request->rail;
    detach(pending);
    explicit_bzero(&pending->request->card, sizeof(pending->request->card));
    pending->reversal = (struct port_rail_request){
        .operation = PORT_RAIL_VOID,
        .scope = rail->scope,
        .id = rail->id ^ 1,
        .original_id = rail->id,
        .amount = rail->amount,
    };
    pending->reverses = true;
    atomic_fetch_add(&pending->client->reversals, 1);
    pending_send(pending);
}

/* The answer to the reversal of a partial approval is the answer to the authorization. */
static void
partial_reversed(struct network_pending *pending, const struct port_rail_answer *reversed)
{
    struct port_rail_answer result = {.outcome = PORT_RAIL_UNKNOWN};
    if (reversed->outcome == PORT_RAIL_APPROVED) {
        result = (struct port_rail_answer){
            .outcome = PORT_RAIL_DECLINED,
            .error_code = "card_declined",
            .decline_code = "insufficient_funds",
            .advice_code = "try_again_later",
            .network_code = "10",
        };
    }
    pending_end(pending, &result, ERR_OK);
}

/* NETWORK-3. Less than was asked for is a part (DE 39 10); anything else is no answer. */
static bool
is_of_amount(const struct port_rail_request *rail, const struct iso8583_message *message)
{
    uint64_t amount;
    uint64_t number;
    bool partial = span_equal_cstr(iso8583_get(message, 39), "10");
    if (rail->operation == PORT_RAIL_REPORT) {
        return true; /* it names none, so none is repeated */
    }
    if (iso8583_has(message, 4) && !partial &&
        (!iso8583_get_number(message, 4, &amount) || amount != (uint64_t)rail->amount.amount)) {
        return false;
    }
    return !iso8583_has(message, 49) || rail->amount.currency == NULL ||
           (iso8583_get_number(message, 49, &number) && number == rail->amount.currency->number);
}

static bool
matches(const struct network_pending *pending, const struct iso8583_message *message)
{
    const struct port_rail_request *rail = rail_of(pending);
    char reference[12];
    network_reference(
        rail->operation == PORT_RAIL_AUTHORIZE ? rail->id : rail->original_id, reference);
    return message->type == network_answer_type(pending->type) &&
           span_equal(iso8583_get(message, 37), span_of(reference, sizeof(reference))) &&
           span_equal_cstr(iso8583_get(message, 41), pending->client->identity.terminal) &&
           is_of_amount(rail, message);
}

/* Evidence goes on with the part that was sent last: it may take longer than one request may. */
static uint16_t
first_part(struct network_client *client, const struct port_rail_request *rail)
{
    if (rail->operation != PORT_RAIL_EVIDENCE) {
        return 0;
    }
    const struct network_recent *recent = network_recent_find(client, rail->id);
    return recent != NULL && recent->part >= 1 ? recent->part : 1;
}

/* The network has this part of the evidence. False: it was the last, or there are none. */
static bool
send_next_part(struct network_pending *pending, const struct port_rail_answer *result)
{
    if (pending->part == 0) {
        return false;
    }
    if (result->outcome == PORT_RAIL_UNKNOWN) {
        /* It does not have the parts before this one any more. */
        network_recent_forget(pending->client, pending->request->rail->id);
    }
    if (result->outcome != PORT_RAIL_APPROVED ||
        pending->part >= network_part_count(rail_of(pending)->evidence)) {
        return false;
    }
    detach(pending);
    pending->part++;
    pending_send(pending);
    return true;
}

/* NETWORK-3: what makes no sense is dropped, and of news of disputes told. */
static bool
read_answer(
    struct network_pending *pending,
    const struct iso8583_message *message,
    struct port_rail_answer *ret_result)
{
    if (!matches(pending, message)) {
        return false;
    }
    bool makes_sense = network_answer_read(message, rail_of(pending), ret_result);
    if (!makes_sense && rail_of(pending)->operation == PORT_RAIL_NEWS) {
        atomic_fetch_add(&pending->client->notices_refused, 1);
    }
    return makes_sense;
}

void
network_client_answered(struct network_client *client, const struct iso8583_message *message)
{
    struct network_trace trace;
    struct port_rail_answer result;
    bool numbered = network_trace_read(message, &trace);
    struct network_pending *pending = numbered ? network_sent_find(client, &trace) : NULL;
    if (pending == NULL || !read_answer(pending, message, &result)) {
        atomic_fetch_add(&client->unmatched, 1);
        return;
    }
    struct span code = iso8583_get(message, 39);
    bool partial =
        span_equal_cstr(code, "10") && rail_of(pending)->operation == PORT_RAIL_AUTHORIZE;
    network_client_count(client, pending->type, network_code_find(code));
    if (pending->reverses) {
        partial_reversed(pending, &result);
    } else if (partial) {
        reverse_partial(pending);
    } else if (!send_next_part(pending, &result)) {
        pending_end(pending, &result, ERR_OK);
    }
    /* What found its connection full has room now. */
    struct list_link *waits = list_first(&client->waiting);
    if (waits != NULL && network_link_pick(client) != NULL) {
        struct network_pending *next = CONTAINER_OF(waits, struct network_pending, link);
        detach(next);
        pending_send(next);
    }
}

/* -------------------------------------------------------------------------------- the port --- */

static void
run_submit(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    struct network_client *client = request->network;
    struct list_link *link = client->stopping ? NULL : list_pop_front(&client->free);
    if (link == NULL) {
        answer(request, ERR_BUSY);
        return;
    }
    struct network_pending *pending = CONTAINER_OF(link, struct network_pending, link);
    pending->request = request;
    pending->trace = (struct network_trace){.stan = 0};
    pending->reverses = false;
    pending->part = first_part(client, request->rail);
    if (net_timer_arm(client->parts.loop, &pending->deadline, request->rail->deadline_ns) !=
        ERR_OK) {
        list_push_back(&client->free, &pending->link);
        answer(request, ERR_BUSY);
        return;
    }
    if (request->rail->operation == PORT_RAIL_VOID) {
        atomic_fetch_add(&client->reversals, 1);
    }
    pending_send(pending);
}

static void
network_submit(struct port_network *network, struct port_network_request *request)
{
    struct network_client *client = CONTAINER_OF(network, struct network_client, network);
    request->network = client;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = run_submit;
    os_post(net_loop_executor(client->parts.loop), &request->task);
}

struct port_network *
network_client_port(struct network_client *client)
{
    return &client->network;
}

/* -------------------------------------------------------------------------------- its life --- */

static void
run_start(struct os_task *task)
{
    struct network_client *client = CONTAINER_OF(task, struct network_client, start_task);
    for (uint32_t i = 0; i < client->parts.settings.connections && !client->stopping; i++) {
        network_link_begin(&client->links[i]);
    }
}

static void
run_stop(struct os_task *task)
{
    struct network_client *client = CONTAINER_OF(task, struct network_client, stop_task);
    client->stopping = true;
    for (uint32_t i = 0; i < client->parts.settings.connections; i++) {
        network_link_end(&client->links[i]);
    }
    for (uint32_t i = 0; i < client->parts.settings.in_flight_max; i++) {
        if (client->slots[i].request != NULL) {
            pending_unknown(&client->slots[i]);
        }
    }
    net_latch_open(client->stopped);
}

void
network_client_start(struct network_client *client)
{
    os_post(net_loop_executor(client->parts.loop), &client->start_task);
}

void
network_client_stop(struct network_client *client)
{
    os_post(net_loop_executor(client->parts.loop), &client->stop_task);
    net_latch_wait(client->stopped);
}

static void
slots_init(struct network_client *client)
{
    list_init(&client->free);
    list_init(&client->waiting);
    for (uint32_t i = 0; i < client->parts.settings.in_flight_max; i++) {
        struct network_pending *pending = &client->slots[i];
        pending->client = client;
        pending->deadline.fire = on_deadline;
        pending->again.fire = on_again;
        list_push_back(&client->free, &pending->link);
    }
    for (uint32_t i = 0; i < NETWORK_CONNECTIONS_MAX; i++) {
        network_link_init(client, &client->links[i]);
    }
}

err_t
network_client_create(const struct network_client_parts *parts, struct network_client **ret_client)
{
    const struct network_client_settings *settings = &parts->settings;
    ASSERT(settings->connections >= 1);
    ASSERT(settings->connections <= NETWORK_CONNECTIONS_MAX);
    struct network_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return ERR_MEMORY;
    }
    client->parts = *parts;
    client->network.submit = network_submit;
    client->network.simulated = true; /* until the host is certified: docs/card-network.md */
    memcpy(client->identity.terminal, settings->terminal, sizeof(settings->terminal));
    memcpy(client->identity.acquirer, settings->acquirer, sizeof(settings->acquirer));
    client->identity.category = settings->category;
    client->start_task.run = run_start;
    client->stop_task.run = run_stop;
    client->slots = calloc(settings->in_flight_max, sizeof(*client->slots));
    client->recent = calloc(NETWORK_RECENT, sizeof(*client->recent));
    map_init(&client->by_trace, settings->in_flight_max);
    if (client->slots == NULL || client->recent == NULL ||
        net_latch_create(&client->stopped) != ERR_OK) {
        network_client_destroy(&client);
        return ERR_MEMORY;
    }
    slots_init(client);
    client->stan = (uint32_t)(os_random_u128(parts->entropy) % NETWORK_STAN_MAX);
    client->begins_s = os_wall_ns(parts->clock) / OS_NS_PER_S + 1;
    client->last_s = client->begins_s;
    client->attempts_ns = net_now_ns();
    *ret_client = client;
    return ERR_OK;
}

void
network_client_destroy(struct network_client **client)
{
    if (*client != NULL) {
        map_release(&(*client)->by_trace);
        net_latch_destroy(&(*client)->stopped);
        free((*client)->recent);
        free((*client)->slots);
        free(*client);
        *client = NULL;
    }
}

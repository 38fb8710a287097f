#include "issuer/issuer.h"

#include "base/assert.h"
#include "base/list.h"
#include "decide.h"
#include "disputes.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

/* A message between the arrival at the network and the answer to the caller. */
struct message {
    struct os_timer timer;
    struct list_link link; /* in issuer->messages */
    struct issuer *issuer;
    struct port_network_request *request; /* NULL: the caller has its answer already */
    struct port_rail_request rail;        /* a copy: the original ends with the answer */
    struct port_network_card card;
    struct port_rail_answer answer;
    enum issuer_verdict verdict; /* of the evidence, which is gone when it arrives late */

    enum {
        ARRIVES,
        ANSWERS,
        GIVES_UP,
        ARRIVES_LATE
    } next;

    bool lost;
};

struct issuer {
    struct port_network network;
    struct issuer_parts parts;
    struct issuer_memory memory;
    struct issuer_disputes disputes;
    struct list messages; /* under way */
};

struct issuer_settings
issuer_settings_default(void)
{
    return (struct issuer_settings){
        .refund_settle_ms = 1000,
        .dispute_delay_ms = 1000,
        .dispute_due_ms = INT64_C(7) * 24 * 3600 * 1000,
    };
}

/* ------------------------------------------------------------------------------ operations --- */

/* Adds the record; a memory that cannot keep it makes the outcome unknown, never a lie. */
static bool
add(struct message *message, struct issuer_record *record)
{
    struct issuer *issuer = message->issuer;
    record->id = message->rail.id;
    record->operation = (uint8_t)message->rail.operation;
    record->amount = message->rail.amount.amount;
    record->at_ms = os_wall_ns(issuer->parts.clock) / OS_NS_PER_MS;
    if (issuer_memory_add(&issuer->memory, record) != ERR_OK) {
        issuer_answer_outcome(&message->answer, PORT_RAIL_UNKNOWN);
        return false;
    }
    return true;
}

static uint64_t
wall_ms(const struct issuer *issuer)
{
    return os_wall_ns(issuer->parts.clock) / OS_NS_PER_MS;
}

/* The money of this authorization was taken. Whoever repeats that makes up for a crash before. */
static void
expect_disputes(struct message *message, u128 authorization)
{
    struct issuer *issuer = message->issuer;
    const struct issuer_memory_entry *entry = issuer_memory_find(&issuer->memory, authorization);
    if (entry == NULL || entry->captured == 0) {
        return;
    }
    if (issuer_disputes_expect(&issuer->disputes, entry, &message->rail, wall_ms(issuer)) !=
        ERR_OK) {
        issuer_answer_outcome(&message->answer, PORT_RAIL_UNKNOWN);
    }
}

static void
authorize(struct message *message)
{
    struct issuer_memory *memory = &message->issuer->memory;
    struct issuer_record record = {.outcome = PORT_RAIL_UNKNOWN};
    issuer_decide(memory, &message->rail, &message->card, &record);
    if (add(message, &record)) {
        struct issuer_memory_entry *entry = issuer_memory_find(memory, message->rail.id);
        ASSERT(entry != NULL);
        issuer_answer_authorization(entry, &message->answer);
        expect_disputes(message, message->rail.id);
    }
}

static enum port_rail_outcome
refund_outcome(const struct issuer *issuer, const struct issuer_record *record, uint64_t now_ms)
{
    if (record->outcome != PORT_RAIL_APPROVED) {
        return (enum port_rail_outcome)record->outcome;
    }
    uint64_t settled = record->at_ms + (uint64_t)issuer->parts.settings.refund_settle_ms;
    switch (issuer_test_card_at(record->card)->refund) {
    case ISSUER_REFUND_AT_ONCE:
        return PORT_RAIL_APPROVED;
    case ISSUER_REFUND_LATER:
        return now_ms >= settled ? PORT_RAIL_APPROVED : PORT_RAIL_PENDING;
    case ISSUER_REFUND_FAILS:
        return now_ms >= settled ? PORT_RAIL_FAILED : PORT_RAIL_APPROVED;
    }
    UNREACHABLE();
}

static void
follow_up(struct message *message)
{
    struct issuer *issuer = message->issuer;
    struct issuer_memory_entry *original =
        issuer_memory_find(&issuer->memory, message->rail.original_id);
    if (original == NULL) {
        issuer_answer_outcome(&message->answer, PORT_RAIL_NOT_FOUND);
        return;
    }
    bool legal = issuer_allows(&message->rail, original);
    struct issuer_record record = {
        .original_id = message->rail.original_id,
        .outcome = legal ? PORT_RAIL_APPROVED : PORT_RAIL_DECLINED,
        .card = original->record.card,
    };
    if (!add(message, &record)) {
        return;
    }
    enum port_rail_outcome outcome = (enum port_rail_outcome)record.outcome;
    if (message->rail.operation == PORT_RAIL_REFUND) {
        outcome = refund_outcome(issuer, &record, record.at_ms);
    }
    issuer_answer_follow_up(&record, outcome, &message->answer);
    if (message->rail.operation == PORT_RAIL_CAPTURE) {
        expect_disputes(message, message->rail.original_id);
    }
}

static void
tell_news(struct message *message)
{
    struct issuer *issuer = message->issuer;
    issuer_answer_outcome(&message->answer, PORT_RAIL_APPROVED);
    if (issuer_disputes_next(
            &issuer->disputes, message->rail.position, wall_ms(issuer), &message->answer.notice) !=
        ERR_OK) {
        issuer_answer_outcome(&message->answer, PORT_RAIL_UNKNOWN);
    }
}

static void
contest(struct message *message)
{
    struct issuer *issuer = message->issuer;
    enum port_rail_outcome outcome = PORT_RAIL_UNKNOWN;
    if (issuer_disputes_answer(
            &issuer->disputes, &message->rail, message->verdict, wall_ms(issuer), &outcome) !=
        ERR_OK) {
        outcome = PORT_RAIL_UNKNOWN;
    }
    issuer_answer_outcome(&message->answer, outcome);
}

/* Voiding what never arrived leaves a record under its id too, so that it is refused if it comes.
 */
static void
reverse(struct message *message)
{
    struct issuer *issuer = message->issuer;
    struct issuer_memory_entry *original =
        issuer_memory_find(&issuer->memory, message->rail.original_id);
    if (original == NULL) {
        struct message tombstone = *message;
        struct issuer_record declined = {
            .outcome = PORT_RAIL_DECLINED,
            .card = issuer_test_card_index(issuer_test_card("4000000000000119")),
        };
        tombstone.rail.id = message->rail.original_id;
        tombstone.rail.operation = PORT_RAIL_AUTHORIZE;
        if (!add(&tombstone, &declined)) {
            message->answer = tombstone.answer;
            return;
        }
    }
    bool refused = original != NULL && original->record.outcome == PORT_RAIL_APPROVED &&
                   issuer_test_card_at(original->record.card)->no_voids;
    struct issuer_record record = {
        .original_id = message->rail.original_id,
        .outcome = refused ? PORT_RAIL_DECLINED : PORT_RAIL_APPROVED,
    };
    if (add(message, &record)) {
        issuer_answer_outcome(&message->answer, (enum port_rail_outcome)record.outcome);
    }
}

static void
repeat(struct message *message, const struct issuer_memory_entry *entry)
{
    const struct issuer_record *record = &entry->record;
    bool report = message->rail.operation == PORT_RAIL_REPORT;
    if (record->operation == PORT_RAIL_AUTHORIZE) {
        issuer_answer_authorization(entry, &message->answer);
        if (!report) {
            expect_disputes(message, record->id);
        }
        return;
    }
    enum port_rail_outcome outcome = (enum port_rail_outcome)record->outcome;
    if (record->operation == PORT_RAIL_REFUND) {
        uint64_t now_ms = os_wall_ns(message->issuer->parts.clock) / OS_NS_PER_MS;
        outcome = refund_outcome(message->issuer, record, now_ms);
    }
    issuer_answer_follow_up(record, outcome, &message->answer);
    if (record->operation == PORT_RAIL_CAPTURE && !report) {
        expect_disputes(message, record->original_id);
    }
}

static void
handle(struct message *message)
{
    struct issuer_memory *memory = &message->issuer->memory;
    bool report = message->rail.operation == PORT_RAIL_REPORT;
    const struct issuer_memory_entry *known =
        issuer_memory_find(memory, report ? message->rail.original_id : message->rail.id);
    if (known != NULL) {
        repeat(message, known);
        return;
    }
    switch (message->rail.operation) {
    case PORT_RAIL_NEWS:
        tell_news(message);
        return;
    case PORT_RAIL_EVIDENCE:
    case PORT_RAIL_ACCEPT:
        contest(message);
        return;
    case PORT_RAIL_AUTHORIZE:
        authorize(message);
        return;
    case PORT_RAIL_CAPTURE:
    case PORT_RAIL_REFUND:
    case PORT_RAIL_INCREMENT:
        follow_up(message);
        return;
    case PORT_RAIL_VOID:
        reverse(message);
        return;
    case PORT_RAIL_PAY: /* a bank's, not a card network's */
    case PORT_RAIL_REPORT:
        issuer_answer_outcome(&message->answer, PORT_RAIL_NOT_FOUND);
        return;
    }
    UNREACHABLE();
}

/* ----------------------------------------------------------------------------- the network --- */

static bool
chance(struct issuer *issuer, int64_t per_mille)
{
    if (per_mille == 0) {
        return false;
    }
    return (int64_t)(os_random_u128(issuer->parts.entropy) % 1000) < per_mille;
}

static void
run_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
send_answer(struct message *message)
{
    struct port_network_request *request = message->request;
    message->request = NULL;
    request->answer = message->answer;
    explicit_bzero(&request->card, sizeof(request->card));
    trace_span_add(
        &request->trace, "card network", request->trace_began_ns, trace_now_ns(&request->trace));
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static void
message_free(struct message *message)
{
    explicit_bzero(&message->card, sizeof(message->card));
    list_remove(&message->link);
    free(message);
}

static void
wait_until(struct message *message, uint64_t deadline_ns)
{
    struct os_loop *loop = message->issuer->parts.loop;
    os_timer_arm(loop, &message->timer, deadline_ns);
}

static void
answer_or_lose(struct message *message)
{
    if (message->lost) {
        message->answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
        message->next = GIVES_UP;
        wait_until(message, message->rail.deadline_ns);
        return;
    }
    send_answer(message);
    message_free(message);
}

static void
message_fires(struct os_timer *timer)
{
    struct message *message = CONTAINER_OF(timer, struct message, timer);
    switch (message->next) {
    case ARRIVES:
        handle(message);
        if (chance(message->issuer, message->issuer->parts.settings.twice_per_mille)) {
            handle(message);
        }
        answer_or_lose(message);
        return;
    case GIVES_UP:
        send_answer(message);
        message_free(message);
        return;
    case ARRIVES_LATE: {
        /* The caller hears "unknown" now; the network handles the message a little later. */
        enum {
            LATE_BY_MS = 200
        };

        message->answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
        message->rail.postal_code = SPAN_EMPTY; /* the caller's memory ends with its answer */
        message->rail.address_line1 = SPAN_EMPTY;
        message->rail.evidence = SPAN_EMPTY;
        send_answer(message);
        message->next = ANSWERS;
        wait_until(
            message, os_monotonic_ns(message->issuer->parts.clock) + LATE_BY_MS * OS_NS_PER_MS);
        return;
    }
    case ANSWERS:
        handle(message);
        message_free(message);
        return;
    }
    UNREACHABLE();
}

static void
arrive(struct issuer *issuer, struct message *message)
{
    const struct issuer_settings *settings = &issuer->parts.settings;
    if (chance(issuer, settings->dropped_per_mille)) {
        message->answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
        message->next = GIVES_UP;
        wait_until(message, message->rail.deadline_ns);
        return;
    }
    if (chance(issuer, settings->late_per_mille)) {
        message->next = ARRIVES_LATE;
        wait_until(message, message->rail.deadline_ns);
        return;
    }
    message->lost = chance(issuer, settings->lost_per_mille);
    message->next = ARRIVES;
    int64_t wait_ms = settings->latency_ms;
    if (settings->jitter_ms > 0) {
        wait_ms += (int64_t)(os_random_u128(issuer->parts.entropy) % (unsigned)settings->jitter_ms);
    }
    if (wait_ms == 0) {
        message_fires(&message->timer);
        return;
    }
    wait_until(message, os_monotonic_ns(issuer->parts.clock) + (uint64_t)wait_ms * OS_NS_PER_MS);
}

static void
run_submit(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    struct issuer *issuer = request->network;
    struct message *message = calloc(1, sizeof(*message));
    if (message == NULL) {
        request->error = ERR_MEMORY;
        request->task.run = run_done;
        os_post(request->reply_to, &request->task);
        return;
    }
    message->issuer = issuer;
    list_push_back(&issuer->messages, &message->link);
    message->request = request;
    message->rail = *request->rail;
    message->verdict = issuer_verdict_of(message->rail.evidence);
    message->card = request->card;
    message->timer.fire = message_fires;
    arrive(issuer, message);
}

static void
network_submit(struct port_network *network, struct port_network_request *request)
{
    struct issuer *issuer = CONTAINER_OF(network, struct issuer, network);
    request->network = issuer;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->error = ERR_OK;
    request->task.run = run_submit;
    os_post(os_loop_executor(issuer->parts.loop), &request->task);
}

err_t
issuer_create(const struct issuer_parts *parts, struct issuer **ret_issuer)
{
    struct issuer *issuer = calloc(1, sizeof(*issuer));
    if (issuer == NULL) {
        return ERR_MEMORY;
    }
    issuer->parts = *parts;
    issuer->network.submit = network_submit;
    issuer->network.simulated = true;
    list_init(&issuer->messages);
    err_t error = issuer_memory_open(&issuer->memory, parts->disk, parts->folder);
    if (error == ERR_OK) {
        error = issuer_disputes_open(
            &issuer->disputes, &issuer->memory, &parts->settings, parts->disk, parts->folder);
        if (error != ERR_OK) {
            issuer_disputes_close(&issuer->disputes);
        }
    }
    if (error != ERR_OK) {
        issuer_memory_close(&issuer->memory);
        free(issuer);
        return error;
    }
    *ret_issuer = issuer;
    return ERR_OK;
}

void
issuer_destroy(struct issuer **issuer)
{
    if (*issuer != NULL) {
        LIST_FOREACH_SAFE (&(*issuer)->messages, link) {
            message_free(CONTAINER_OF(link, struct message, link));
        }
        issuer_disputes_close(&(*issuer)->disputes);
        issuer_memory_close(&(*issuer)->memory);
        free(*issuer);
        *issuer = NULL;
    }
}

struct port_network *
issuer_network(struct issuer *issuer)
{
    return &issuer->network;
}

/* Any message, to the host as a request and to the client as an answer to each kind of question. */
#include "message.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ask(const struct iso8583_message *message)
{
    static struct network_asked asked;
    static struct iso8583_message answer;
    struct network_echo echo;
    char memory[NETWORK_PART];
    struct span part;
    network_echo_take(message, &echo);
    ASSERT(network_refusal_build(&echo, "30", &answer) == ERR_OK);
    if (network_request_read(message, &asked) != NULL) {
        return;
    }
    if (asked.rail.operation == PORT_RAIL_EVIDENCE) {
        ASSERT(asked.part >= 1 && asked.part <= asked.parts && asked.parts <= NETWORK_PARTS_MAX);
        if (network_part_get(message, memory, &part)) {
            ASSERT(part.size > 0 && part.size <= NETWORK_PART);
        }
    }
}

/* What the client takes for news is bounded, and a host can tell it. */
static void
check_notice(const struct port_rail_notice *notice, uint64_t behind)
{
    char memory[999];
    struct buf out;
    struct port_rail_notice again;
    if (notice->news == PORT_RAIL_NEWS_NONE) {
        return;
    }
    ASSERT(notice->position > behind && notice->position <= INT64_MAX);
    ASSERT(notice->amount > 0 && notice->dispute != 0 && notice->reason[0] != '\0');
    buf_init_fixed(&out, memory, sizeof(memory));
    network_notice_append(&out, notice);
    ASSERT(!buf_failed(&out));
    ASSERT(network_notice_read(buf_span(&out), behind, &again));
    ASSERT(again.position == notice->position && again.scope == notice->scope);
    ASSERT(again.amount == notice->amount && again.dispute == notice->dispute);
}

static void
answer(const struct iso8583_message *message)
{
    for (unsigned i = 0; i <= PORT_RAIL_ACCEPT; i++) {
        const struct port_rail_request rail = {
            .operation = (enum port_rail_operation)i, .position = 5};
        struct port_rail_answer read;
        if (network_answer_read(message, &rail, &read)) {
            check_notice(&read.notice, rail.position);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct iso8583_message message;
    const struct iso8583_dialect *const dialects[] = {&iso8583_ascii, &iso8583_binary};
    for (size_t i = 0; i < 2; i++) {
        struct iso8583_refusal refusal;
        if (iso8583_decode(dialects[i], span_of(data, size), &message, &refusal) == ERR_OK) {
            ask(&message);
            answer(&message);
        }
    }
    return 0;
}

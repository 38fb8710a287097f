/*
 * Any bytes as what a service sends us: the body of a request, or of an answer. The first byte says
 * which. What is refused has a reason; what is taken, written again, reads the same.
 */
#include "endpoints.h"
#include "ledger_wire.h"
#include "tables.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX  (4U << 20)
#define OBJECT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct remote_table *const tables[] = {
    &remote_rail_request,
    &remote_rail_answer,
    &remote_tokenize_request,
    &remote_tokenize_answer,
    &remote_wallet_request,
    &remote_wallet_answer,
    &remote_wallet_release,
    &remote_mobile_request,
    &remote_mobile_answer,
    &remote_ledger_filter,
    &remote_refusal_fields,
    &remote_hello_fields,
};

#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))

static const char *const operations[] = {
    "create_accounts",
    "create_transfers",
    "lookup_accounts",
    "lookup_transfers",
    "get_account_transfers",
    "get_account_balances",
    "query_accounts",
    "query_transfers",
    "get_change_events",
    "no_such_operation",
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static union {
    max_align_t align;
    char bytes[OBJECT_MAX];
} first, second;

static void
write_again(const struct remote_table *table, const void *object, struct buf *out)
{
    struct json_writer json;
    buf_init(out, ARENA_MAX);
    json_begin(&json, out);
    remote_fields_write(table, object, &json);
    ASSERT(!buf_failed(out));
}

static void
object(const struct remote_table *table, struct span text, struct arena *arena)
{
    const char *problem = NULL;
    struct buf once;
    struct buf twice;
    memset(&first, 0xee, sizeof(first));
    err_t result = remote_fields_read(table, text, arena, &first, &problem);
    ASSERT(problem != NULL);
    if (result != ERR_OK) {
        ASSERT(result == ERR_INVALID);
        ASSERT(problem[0] != '\0');
        return;
    }
    write_again(table, &first, &once);
    result = remote_fields_read(table, buf_span(&once), arena, &second, &problem);
    ASSERT(result == ERR_OK);
    write_again(table, &second, &twice);
    ASSERT(span_equal(buf_span(&once), buf_span(&twice)));
    buf_release(&once);
    buf_release(&twice);
}

static void
ledger(const char *operation, bool pairs, struct span body, struct arena *arena)
{
    struct port_ledger_request request;
    const char *problem = NULL;
    struct buf out;
    struct buf filter;
    memset(&request, 0, sizeof(request));
    err_t result = remote_ledger_request_read(
        span_from_cstr(operation),
        pairs ? SPAN("pairs") : SPAN_EMPTY,
        body,
        arena,
        &request,
        &problem);
    if (result != ERR_OK) {
        ASSERT(problem != NULL && problem[0] != '\0');
        return;
    }
    buf_init(&out, 8U << 20);
    buf_init(&filter, ARENA_MAX);
    result = remote_ledger_room(&request, &out);
    ASSERT(result == ERR_OK);
    memset(out.data, 0, out.capacity);
    /* What we send for it is what we were sent, but for the filter, which is JSON. */
    struct span again = remote_ledger_request_write(&request, &filter);
    bool records =
        span_equal(remote_ledger_content_type(&request), SPAN("application/octet-stream"));
    ASSERT(!records || span_equal(again, body));
    request.out_count = records ? request.count : 0;
    remote_ledger_answer_write(&request, &out);
    result = remote_ledger_answer_read(buf_span(&out), &request);
    ASSERT(result == ERR_OK);
    buf_release(&out);
    buf_release(&filter);
}

/* Any bytes as the answer to a batch of three. */
static void
answer(size_t operation, bool pairs, struct span body)
{
    static struct port_ledger_change room[3];
    static struct port_ledger_pair pair_room[3];
    static const struct port_ledger_filter filter = {.limit = 3};
    static const u128 ids[3];
    struct port_ledger_request request = {
        .operation = (enum port_ledger_operation)operation,
        .count = 3,
        .in.ids = ids,
        .out.changes = room,
        .pairs = pairs && operation == PORT_LEDGER_CREATE_TRANSFERS ? pair_room : NULL,
    };
    if (operation >= PORT_LEDGER_GET_ACCOUNT_TRANSFERS) {
        request.in.filter = &filter;
    }
    if (remote_ledger_answer_read(body, &request) == ERR_OK) {
        ASSERT(request.out_count <= 3);
    }
}

static void
endpoints(struct span text)
{
    static struct remote_endpoints found;
    struct span problem;
    if (remote_endpoints_parse(text, &found, &problem) == ERR_OK) {
        ASSERT(found.count > 0 && found.count <= REMOTE_ENDPOINTS_MAX);
        for (uint32_t i = 0; i < found.count; i++) {
            ASSERT(found.at[i].host[0] != '\0' && found.at[i].port != 0);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    if (size == 0) {
        return 0;
    }
    size_t which = data[0];
    struct span body = span_of(data + 1, size - 1);
    arena_init(&arena, ARENA_MAX);
    if (which < TABLE_COUNT) {
        object(tables[which], body, &arena);
    } else if (which < 0x40) {
        endpoints(body);
    } else if (which < 0x80) {
        ledger(operations[which % OPERATION_COUNT], (which & 0x20) != 0, body, &arena);
    } else {
        answer(which % (OPERATION_COUNT - 1), (which & 0x40) != 0, body);
    }
    arena_release(&arena);
    return 0;
}

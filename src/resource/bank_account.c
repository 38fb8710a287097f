#include "resource/bank_account.h"

#include "base/assert.h"

#include <string.h>

/* ----------------------------------------------------------------------------- the account --- */

static bool
is_of(struct span text, bool letters, size_t minimum, size_t maximum)
{
    if (text.size < minimum || text.size > maximum) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool digit = byte >= '0' && byte <= '9';
        bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!digit && !(letters && letter)) {
            return false;
        }
    }
    return true;
}

/* "PARAM[member]", in the arena. */
static const char *
name_of(struct resource_op *op, const char *param, const char *member)
{
    struct arena *arena = resource_op_arena(op);
    return arena_cstr(arena, arena_format(arena, "%s[%s]", param, member));
}

bool
resource_bank_account_read(
    struct resource_op *op, const char *param, struct resource_bank_account *ret_account)
{
    /* The longest are IBANs (ISO 13616). */
    enum {
        NUMBER_MIN = 4,
        NUMBER_MAX = 34,
        ROUTING_MIN = 3,
        ROUTING_MAX = 11,
    };

    static_assert(NUMBER_MAX < PORT_VAULT_TOKEN_SIZE, "an account number fits into the rail");
    const char *number = name_of(op, param, "account_number");
    const char *routing = name_of(op, param, "routing_number");
    const char *country = name_of(op, param, "country");
    const char *holder = name_of(op, param, "account_holder_name");
    if (number == NULL || routing == NULL || country == NULL || holder == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    *ret_account = (struct resource_bank_account){.number = SPAN_EMPTY};
    (void)resource_text(op, number, &ret_account->number);
    (void)resource_text(op, routing, &ret_account->routing_number);
    (void)resource_text(op, country, &ret_account->country);
    (void)resource_text(op, holder, &ret_account->holder_name);
    if (!is_of(ret_account->number, true, NUMBER_MIN, NUMBER_MAX)) {
        resource_invalid(
            op,
            "account_number_invalid",
            number,
            "A bank account number has 4 to 34 letters and digits.");
        return false;
    }
    if (ret_account->routing_number.size != 0 &&
        !is_of(ret_account->routing_number, true, ROUTING_MIN, ROUTING_MAX)) {
        resource_invalid(
            op,
            "routing_number_invalid",
            routing,
            "A routing number has 3 to 11 letters and digits.");
        return false;
    }
    return true;
}

struct span
resource_bank_last4(struct span number)
{
    enum {
        SHOWN = 4
    };

    size_t from = number.size > SHOWN ? number.size - SHOWN : 0;
    return span_slice(number, from, number.size);
}

/* -------------------------------------------------------------------------------- the bank --- */

void
resource_bank_ask(
    struct resource_op *op,
    struct port_rail *rail,
    const struct resource_bank_order *order,
    enum port_rail_operation operation,
    struct port_rail_request *request,
    void (*done)(struct port_rail_request *request))
{
    ASSERT(operation == PORT_RAIL_PAY || operation == PORT_RAIL_REPORT);
    memset(request, 0, sizeof(*request));
    ASSERT(order->number.size > 0 && order->number.size < sizeof(request->token));
    memcpy(request->token, order->number.data, order->number.size);
    request->operation = operation;
    request->scope = resource_op_caller(op)->scope;
    request->id = order->id;
    request->original_id = order->id;
    request->amount = order->amount;
    request->statement_descriptor = order->statement_descriptor;
    request->deadline_ns = resource_monotonic_ns(op) + (uint64_t)order->timeout_ms * OS_NS_PER_MS;
    request->reply_to = resource_op_executor(op);
    request->done = done;
    request->trace = resource_op_trace(op);
    rail->submit(rail, request);
}

enum resource_bank_word
resource_bank_word_of(const struct port_rail_request *request)
{
    if (request->error != ERR_OK) {
        return RESOURCE_BANK_UNDECIDED;
    }
    switch (request->answer.outcome) {
    case PORT_RAIL_APPROVED:
        return RESOURCE_BANK_PAID;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        return RESOURCE_BANK_NOT_PAID;
    case PORT_RAIL_NOT_FOUND:
        return RESOURCE_BANK_UNHEARD;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE: /* no bank says so */
        return RESOURCE_BANK_UNDECIDED;
    }
    UNREACHABLE();
}

int64_t
resource_bank_next_look(int64_t now_s, int64_t paid_at, int64_t window_s, bool kept)
{
    enum {
        WAIT_MIN_S = 1,
        WAIT_MAX_S = 3600,
    };

    int64_t since_s = now_s - paid_at;
    int64_t wait_s = since_s / 2;
    wait_s = wait_s < WAIT_MIN_S ? WAIT_MIN_S : wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s;
    return kept && since_s > window_s ? 0 : now_s + wait_s;
}

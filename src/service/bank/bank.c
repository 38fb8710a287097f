#include "bank/bank.h"

#include "memory.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

enum fate {
    PAID,
    REFUSED,     /* at once */
    FAILS_LATER, /* after it was accepted */
    RETURNED,    /* after it was paid */
    PENDING,     /* for ever */
    ANSWER_LOST, /* paid, but the first answer never arrives */
};

/* README.md shows the same table. The first row stands for every other number. */
static const struct account {
    const char *number;
    enum fate fate;
    const char *code;
} accounts[] = {
    {"000123456789", PAID, ""},
    {"000111111116", REFUSED, "no_account"},
    {"000111111113", REFUSED, "account_closed"},
    {"000444444440", REFUSED, "invalid_currency"},
    {"000222222227", FAILS_LATER, "could_not_process"},
    {"000333333335", RETURNED, "account_frozen"},
    {"000777777771", PENDING, ""},
    {"000666666660", ANSWER_LOST, ""},
};

#define ACCOUNT_COUNT (sizeof(accounts) / sizeof(accounts[0]))

static_assert(ACCOUNT_COUNT <= UINT8_MAX, "a row fits into a record");

struct bank {
    struct port_rail rail;
    struct bank_parts parts;
    struct bank_memory memory;
};

struct bank_settings
bank_settings_default(void)
{
    return (struct bank_settings){.settle_ms = 2000, .return_ms = 5000};
}

static uint8_t
account_by_number(const char *number)
{
    for (size_t i = 0; i < ACCOUNT_COUNT; i++) {
        if (strcmp(accounts[i].number, number) == 0) {
            return (uint8_t)i;
        }
    }
    return 0;
}

/* How the payment stands now. */
static enum port_rail_outcome
outcome_of(const struct bank *bank, const struct bank_record *record)
{
    const struct bank_settings *settings = &bank->parts.settings;
    uint64_t now_ms = os_wall_ns(bank->parts.clock) / OS_NS_PER_MS;
    uint64_t settled = record->at_ms + (uint64_t)settings->settle_ms;
    uint64_t back = settled + (uint64_t)settings->return_ms;
    enum fate fate = accounts[record->account].fate;
    if (fate == REFUSED) {
        return PORT_RAIL_DECLINED;
    }
    if (fate == PENDING || now_ms < settled) {
        return PORT_RAIL_PENDING;
    }
    bool failed = fate == FAILS_LATER || (fate == RETURNED && now_ms >= back);
    return failed ? PORT_RAIL_FAILED : PORT_RAIL_APPROVED;
}

static void
answer(struct port_rail_request *request, enum port_rail_outcome outcome, uint8_t account)
{
    request->answer.outcome = outcome;
    if (outcome == PORT_RAIL_DECLINED || outcome == PORT_RAIL_FAILED) {
        size_t size = strlen(accounts[account].code) + 1;
        ASSERT(size <= sizeof(request->answer.error_code));
        memcpy(request->answer.error_code, accounts[account].code, size);
    }
}

static void
pay(struct bank *bank, struct port_rail_request *request)
{
    const struct bank_record *known = bank_memory_find(&bank->memory, request->id);
    if (known != NULL) {
        answer(request, outcome_of(bank, known), known->account);
        return;
    }
    struct bank_record record = {
        .id = request->id,
        .amount = request->amount.amount,
        .at_ms = os_wall_ns(bank->parts.clock) / OS_NS_PER_MS,
        .scope = request->scope,
        .currency = request->amount.currency->number,
        .account = account_by_number(request->token),
    };
    request->error = bank_memory_add(&bank->memory, &record);
    if (request->error != ERR_OK) {
        return;
    }
    bool lost = accounts[record.account].fate == ANSWER_LOST;
    answer(request, lost ? PORT_RAIL_UNKNOWN : outcome_of(bank, &record), record.account);
}

static void
report(struct bank *bank, struct port_rail_request *request)
{
    const struct bank_record *known = bank_memory_find(&bank->memory, request->original_id);
    if (known == NULL) {
        answer(request, PORT_RAIL_NOT_FOUND, 0);
        return;
    }
    answer(request, outcome_of(bank, known), known->account);
}

static void
run_done(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    request->done(request);
}

static void
traced(const struct port_rail_request *request)
{
    struct trace_span span;
    if (request->trace_began_ns == 0) {
        return;
    }
    trace_span_start_at(
        &request->trace,
        TRACE_CLIENT,
        request->operation == PORT_RAIL_PAY ? "rail pay" : "rail report",
        request->trace_began_ns,
        &span);
    trace_span_label(&span, "tael.rail", "bank");
    if (request->error != ERR_OK) {
        trace_span_fail(&span, err_name(request->error));
    } else if (request->answer.outcome == PORT_RAIL_UNKNOWN) {
        trace_span_fail(&span, "unknown");
    }
    trace_span_end(&span);
}

static void
run_submit(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    struct bank *bank = request->rail;
    request->error = ERR_OK;
    memset(&request->answer, 0, sizeof(request->answer));
    if (request->operation == PORT_RAIL_PAY) {
        pay(bank, request);
    } else if (request->operation == PORT_RAIL_REPORT) {
        report(bank, request);
    } else {
        request->error = ERR_UNSUPPORTED; /* a bank account is not drawn from */
    }
    traced(request);
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static void
submit(struct port_rail *rail, struct port_rail_request *request)
{
    struct bank *bank = CONTAINER_OF(rail, struct bank, rail);
    ASSERT(request->done != NULL);
    request->rail = bank;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->task.run = run_submit;
    os_post(os_loop_executor(bank->parts.loop), &request->task);
}

err_t
bank_create(const struct bank_parts *parts, struct bank **ret_bank)
{
    struct bank *bank = calloc(1, sizeof(*bank));
    if (bank == NULL) {
        return ERR_MEMORY;
    }
    bank->parts = *parts;
    bank->rail.submit = submit;
    bank->rail.name = "bank";
    bank->rail.simulated = true;
    err_t error = bank_memory_open(&bank->memory, parts->disk, parts->folder);
    bank->parts.folder = NULL; /* the caller's */
    if (error != ERR_OK) {
        bank_destroy(&bank);
        return error;
    }
    *ret_bank = bank;
    return ERR_OK;
}

void
bank_destroy(struct bank **bank)
{
    if (*bank != NULL) {
        bank_memory_close(&(*bank)->memory);
        free(*bank);
        *bank = NULL;
    }
}

struct port_rail *
bank_rail(struct bank *bank)
{
    return &bank->rail;
}

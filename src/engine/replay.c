#include "engine/replay.h"

#include "machine.h"

#include "record/record.h"
#include "json/json.h"
#include "json/json_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch of the largest size with every field and all flags. */
#define REPLAY_VALUES_MAX (LEDGER_BATCH_MAX * 32u)
#define REPLAY_ARENA_MAX  (UINT64_C(64) << 20)
#define REPLAY_OUT_MAX    (UINT64_C(64) << 20)

/* The least text that makes an account or a pending transfer, for the size of the tables. */

struct replay {
    const struct ledger_replay_settings *settings;
    struct engine_machine machine;
    struct os_executor executor; /* runs the ticket within the commit */
    struct store_ticket ticket;
    bool durable_lines; /* each line's changes are on the disk before it is answered */

    struct arena arena; /* of one line */
    struct buf out;
    struct json_writer json;
    struct json_problem problem; /* of the line */
    struct port_ledger_filter filter;

    union {
        struct ledger_account accounts[LEDGER_BATCH_MAX];
        struct ledger_transfer transfers[LEDGER_BATCH_MAX];
        u128 ids[LEDGER_BATCH_MAX];
    } in;

    union {
        struct ledger_result results[LEDGER_BATCH_MAX];
        struct ledger_account accounts[LEDGER_BATCH_MAX];
        struct ledger_transfer transfers[LEDGER_BATCH_MAX];
        struct port_ledger_balance balances[LEDGER_BATCH_MAX];
        struct port_ledger_change changes[LEDGER_BATCH_MAX];
    } found;
};

/* --- what the answers look like --- */

typedef void (*write_one)(struct replay *replay, uint32_t at);

static void
write_account_result(struct replay *replay, uint32_t at)
{
    record_account_result_write(&replay->json, &replay->found.results[at]);
}

static void
write_transfer_result(struct replay *replay, uint32_t at)
{
    record_transfer_result_write(&replay->json, &replay->found.results[at]);
}

static void
write_account(struct replay *replay, uint32_t at)
{
    record_account_write(&replay->json, &replay->found.accounts[at]);
}

static void
write_transfer(struct replay *replay, uint32_t at)
{
    record_transfer_write(&replay->json, &replay->found.transfers[at]);
}

static void
write_balance(struct replay *replay, uint32_t at)
{
    const struct port_ledger_balance *balance = &replay->found.balances[at];
    record_balances_write(&replay->json, balance->timestamp, &balance->balances);
}

static void
write_change(struct replay *replay, uint32_t at)
{
    const struct port_ledger_change *change = &replay->found.changes[at];
    record_change_write(&replay->json, &change->event, &change->debit, &change->credit);
}

/* --- the operations --- */

enum replay_input {
    REPLAY_EVENTS_ACCOUNTS,
    REPLAY_EVENTS_TRANSFERS,
    REPLAY_IDS,
    REPLAY_FILTER,
};

struct replay_operation {
    const char *name;
    enum port_ledger_operation operation;
    enum replay_input input;
    enum record_filter_kind filter;
    const char *answer; /* the name of the array in the answer */
    write_one write;
};

static const struct replay_operation operations[] = {
    {.name = "create_accounts",
     .operation = PORT_LEDGER_CREATE_ACCOUNTS,
     .input = REPLAY_EVENTS_ACCOUNTS,
     .answer = "results",
     .write = write_account_result},
    {.name = "create_transfers",
     .operation = PORT_LEDGER_CREATE_TRANSFERS,
     .input = REPLAY_EVENTS_TRANSFERS,
     .answer = "results",
     .write = write_transfer_result},
    {.name = "lookup_accounts",
     .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
     .input = REPLAY_IDS,
     .answer = "accounts",
     .write = write_account},
    {.name = "lookup_transfers",
     .operation = PORT_LEDGER_LOOKUP_TRANSFERS,
     .input = REPLAY_IDS,
     .answer = "transfers",
     .write = write_transfer},
    {.name = "get_account_transfers",
     .operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS,
     .input = REPLAY_FILTER,
     .filter = RECORD_FILTER_ACCOUNT,
     .answer = "transfers",
     .write = write_transfer},
    {.name = "get_account_balances",
     .operation = PORT_LEDGER_GET_ACCOUNT_BALANCES,
     .input = REPLAY_FILTER,
     .filter = RECORD_FILTER_ACCOUNT,
     .answer = "balances",
     .write = write_balance},
    {.name = "query_accounts",
     .operation = PORT_LEDGER_QUERY_ACCOUNTS,
     .input = REPLAY_FILTER,
     .filter = RECORD_FILTER_QUERY,
     .answer = "accounts",
     .write = write_account},
    {.name = "query_transfers",
     .operation = PORT_LEDGER_QUERY_TRANSFERS,
     .input = REPLAY_FILTER,
     .filter = RECORD_FILTER_QUERY,
     .answer = "transfers",
     .write = write_transfer},
    {.name = "get_change_events",
     .operation = PORT_LEDGER_GET_CHANGE_EVENTS,
     .input = REPLAY_FILTER,
     .filter = RECORD_FILTER_CHANGES,
     .answer = "events",
     .write = write_change},
};

static const struct replay_operation *
operation_find(struct span name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (span_equal_cstr(name, operations[i].name)) {
            return &operations[i];
        }
    }
    return NULL;
}

/* --- reading a line --- */

static err_t
refuse(struct replay *replay, const struct json_value *value, const char *message)
{
    replay->problem = (struct json_problem){.message = message};
    if (value != NULL) {
        replay->problem.position = value->position;
        replay->problem.path = json_value_path(value, &replay->arena);
    }
    return ERR_INVALID;
}

/* The one member besides "op" that the operation has. */
static err_t
only_member(
    struct replay *replay,
    const struct json_value *root,
    struct span name,
    const struct json_value **ret_value)
{
    *ret_value = NULL;
    for (const struct json_value *value = root->first_child; value != NULL; value = value->next) {
        if (span_equal(value->name, name)) {
            *ret_value = value;
        } else if (!span_equal(value->name, SPAN("op"))) {
            return refuse(replay, value, "There is no field of this name.");
        }
    }
    return *ret_value == NULL ? refuse(replay, root, "A field is missing.") : ERR_OK;
}

static err_t
read_filter(
    struct replay *replay,
    const struct replay_operation *operation,
    const struct json_value *value,
    struct port_ledger_request *request)
{
    struct record_filter filter;
    TRY(record_filter_read(value, operation->filter, &filter, &replay->arena, &replay->problem));
    replay->filter = (struct port_ledger_filter){
        .account_id = filter.account_id,
        .user_data_128 = filter.user_data_128,
        .user_data_64 = filter.user_data_64,
        .user_data_32 = filter.user_data_32,
        .ledger = filter.ledger,
        .code = filter.code,
        .debits = filter.debits,
        .credits = filter.credits,
        .reversed = filter.reversed,
        .timestamp_min = filter.timestamp_min,
        .timestamp_max = filter.timestamp_max,
        /* Undefined flags make a filter invalid, as a limit of zero does. */
        .limit = filter.undefined_flags ? 0 : filter.limit,
    };
    request->in.filter = &replay->filter;
    return ERR_OK;
}

static err_t
read_input(
    struct replay *replay,
    const struct replay_operation *operation,
    const struct json_value *root,
    struct port_ledger_request *request)
{
    static const char *const names[] = {
        [REPLAY_EVENTS_ACCOUNTS] = "events",
        [REPLAY_EVENTS_TRANSFERS] = "events",
        [REPLAY_IDS] = "ids",
        [REPLAY_FILTER] = "filter",
    };
    const struct json_value *value = NULL;
    TRY(only_member(replay, root, span_from_cstr(names[operation->input]), &value));
    switch (operation->input) {
    case REPLAY_EVENTS_ACCOUNTS:
        request->in.accounts = replay->in.accounts;
        return record_accounts_read(
            value,
            replay->in.accounts,
            LEDGER_BATCH_MAX,
            &request->count,
            &replay->arena,
            &replay->problem);
    case REPLAY_EVENTS_TRANSFERS:
        request->in.transfers = replay->in.transfers;
        return record_transfers_read(
            value,
            replay->in.transfers,
            LEDGER_BATCH_MAX,
            &request->count,
            &replay->arena,
            &replay->problem);
    case REPLAY_IDS:
        request->in.ids = replay->in.ids;
        return record_ids_read(
            value,
            replay->in.ids,
            LEDGER_BATCH_MAX,
            &request->count,
            &replay->arena,
            &replay->problem);
    case REPLAY_FILTER:
        return read_filter(replay, operation, value, request);
    }
    UNREACHABLE();
}

/* --- executing --- */

static void
run_at_once(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    ASSERT(first == last);
    first->run(first);
}

static void
ticket_told(struct os_task *task)
{
    (void)task;
}

/* Makes everything so far durable. The store of a replay writes within the commit. */
static err_t
flush(struct replay *replay)
{
    if (!replay->machine.uncommitted) {
        return ERR_OK;
    }
    replay->ticket.task.run = ticket_told;
    TRY(engine_machine_commit(&replay->machine, &replay->ticket));
    replay->machine.error = replay->ticket.error;
    return replay->ticket.error.code;
}

/* Failures that end the replay, apart from lines that cannot be executed. */
static bool
is_of_store(err_t error)
{
    return error != ERR_OK && error != ERR_INVALID && error != ERR_FULL && error != ERR_RANGE;
}

static err_t
execute(struct replay *replay, struct port_ledger_request *request)
{
    err_t error = engine_machine_execute(&replay->machine, request);
    if (error == ERR_BUSY) {
        TRY(flush(replay));
        error = engine_machine_execute(&replay->machine, request);
    }
    return error;
}

static err_t
run_operation(
    struct replay *replay, const struct replay_operation *operation, const struct json_value *root)
{
    struct port_ledger_request request = {.operation = operation->operation};
    TRY(read_input(replay, operation, root, &request));
    /* The members of both unions begin at the same place. */
    request.out.results = replay->found.results;
    err_t error = execute(replay, &request);
    if (error == ERR_RANGE) {
        return refuse(replay, NULL, "Time has come to its end.");
    }
    if (error == ERR_FULL) {
        return refuse(replay, NULL, "The ledger is full.");
    }
    TRY(error);
    json_object_begin(&replay->json);
    json_key(&replay->json, operation->answer);
    json_array_begin(&replay->json);
    for (uint32_t i = 0; i < request.out_count; i++) {
        operation->write(replay, i);
    }
    json_array_end(&replay->json);
    json_object_end(&replay->json);
    return ERR_OK;
}

/* Forward by `ns`; a negative one by 2^63 - 1 - |ns|. Stops at the end of time. */
static err_t
run_tick(struct replay *replay, const struct json_value *root)
{
    const struct json_value *value = NULL;
    TRY(only_member(replay, root, SPAN("ns"), &value));
    int64_t ns = 0;
    bool is_number = value->kind == JSON_KIND_INTEGER || value->kind == JSON_KIND_TEXT;
    if (!is_number || !span_parse_i64(value->text, &ns)) {
        return refuse(replay, value, "Expected nanoseconds as a whole number.");
    }
    uint64_t back = ns < 0 ? -(uint64_t)ns : 0;
    uint64_t step = (uint64_t)ns;
    if (ns < 0) {
        step = back > LEDGER_TIMESTAMP_MAX ? 0 : LEDGER_TIMESTAMP_MAX - back;
    }
    uint64_t clock = ledger_clock(replay->machine.ledger);
    uint64_t left = LEDGER_TIMESTAMP_MAX - clock;
    uint64_t target = clock + (step < left ? step : left);
    err_t error = engine_machine_tick(&replay->machine, target);
    if (error == ERR_BUSY) {
        TRY(flush(replay));
        error = engine_machine_tick(&replay->machine, target);
    }
    TRY(error);
    json_object_begin(&replay->json);
    json_key(&replay->json, "clock");
    json_u128_text(&replay->json, ledger_clock(replay->machine.ledger));
    json_object_end(&replay->json);
    return ERR_OK;
}

static err_t
run_line(struct replay *replay, struct span line)
{
    struct json_value *root = NULL;
    TRY(json_read(line, &replay->arena, REPLAY_VALUES_MAX, &root, &replay->problem));
    const struct json_value *op = json_value_member(root, SPAN("op"));
    struct span name = SPAN_EMPTY;
    if (op == NULL || json_value_text(op, &name) != ERR_OK) {
        return refuse(replay, op == NULL ? root : op, "Expected the name of an operation as op.");
    }
    if (span_equal(name, SPAN("tick"))) {
        return run_tick(replay, root);
    }
    const struct replay_operation *operation = operation_find(name);
    if (operation == NULL) {
        return refuse(replay, op, "There is no operation of this name.");
    }
    return run_operation(replay, operation, root);
}

/* --- lines --- */

static void
write_problem(struct replay *replay)
{
    buf_clear(&replay->out);
    json_begin(&replay->json, &replay->out);
    json_object_begin(&replay->json);
    json_key(&replay->json, "error");
    json_object_begin(&replay->json);
    json_member_cstr(&replay->json, "message", replay->problem.message);
    if (replay->problem.path.size > 0) {
        json_member_text(&replay->json, "param", replay->problem.path);
    }
    json_object_end(&replay->json);
    json_object_end(&replay->json);
}

/* The first line that was not understood, in words. */
static void
note_first(struct replay *replay, uint64_t line, struct store_error *error)
{
    struct buf text;
    buf_init_fixed(&text, error->message, sizeof(error->message) - 1);
    buf_append_cstr(&text, "operation ");
    buf_append_u64(&text, line);
    buf_append_cstr(&text, ": ");
    if (replay->problem.path.size > 0) {
        buf_append_span(&text, span_slice(replay->problem.path, 0, 200));
        buf_append_cstr(&text, ": ");
    }
    buf_append_cstr(&text, replay->problem.message);
    error->message[text.size] = '\0';
    error->code = ERR_INVALID;
}

/* Runs the line and tells its answer. Only failures of the store come back. */
static err_t
answer_line(
    struct replay *replay,
    struct span line,
    struct ledger_replay_summary *summary,
    struct store_error *error)
{
    arena_clear(&replay->arena);
    buf_clear(&replay->out);
    json_begin(&replay->json, &replay->out);
    replay->problem = (struct json_problem){.message = "The line cannot be executed."};
    err_t code = line.size > LEDGER_REPLAY_LINE_MAX ? refuse(replay, NULL, "The line is too long.")
                                                    : run_line(replay, line);
    if (is_of_store(code)) {
        return code;
    }
    summary->lines++;
    if (code != ERR_OK) {
        summary->not_understood++;
        if (summary->not_understood == 1) {
            note_first(replay, summary->lines, error);
        }
        write_problem(replay);
    }
    if (buf_failed(&replay->out)) {
        return ERR_MEMORY;
    }
    if (replay->durable_lines) {
        TRY(flush(replay));
    }
    replay->settings->line(replay->settings->context, buf_span(&replay->out));
    return ERR_OK;
}

/* --- setting up --- */

/* The store may hold a ledger of any size; tables take memory for what is in it. */
static err_t
open_machine(struct replay *replay, struct store_error *error)
{
    struct store_settings settings = store_settings_default();
    const struct ledger_limits limits = {
        .account_count_max = LEDGER_COUNT_MAX, .pending_count_max = LEDGER_COUNT_MAX};
    struct store *store = NULL;
    TRY(store_open(replay->settings->url, replay->settings->disk, &settings, &store, error));
    return engine_machine_open(&replay->machine, store, &limits, error);
}

static err_t
run_script(
    struct replay *replay,
    struct span script,
    struct ledger_replay_summary *summary,
    struct store_error *error)
{
    struct store_error first = {0};
    err_t code = ERR_OK;
    while (script.size > 0 && code == ERR_OK) {
        struct span line = span_trim(span_cut(&script, '\n'));
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line = span_trim(span_slice(line, 0, line.size - 1));
        }
        if (line.size > 0) {
            code = answer_line(replay, line, summary, &first);
        }
    }
    if (code == ERR_OK) {
        code = flush(replay);
    }
    if (code != ERR_OK) {
        *error = replay->machine.error;
        error->code = code;
        if (error->message[0] == '\0') {
            snprintf(error->message, sizeof(error->message), "%s", err_text(code));
        }
        return code;
    }
    *error = first;
    return first.code;
}

err_t
ledger_engine_replay(
    const struct ledger_replay_settings *settings,
    struct span script,
    struct ledger_replay_summary *ret_summary,
    struct store_error *error)
{
    *ret_summary = (struct ledger_replay_summary){0};
    *error = (struct store_error){0};
    struct replay *replay = calloc(1, sizeof(*replay));
    if (replay == NULL || script.size > LEDGER_REPLAY_SCRIPT_MAX) {
        free(replay);
        error->code = replay == NULL ? ERR_MEMORY : ERR_FULL;
        snprintf(error->message, sizeof(error->message), "%s", err_text(error->code));
        return error->code;
    }
    replay->settings = settings;
    replay->executor.post = run_at_once;
    replay->durable_lines = !span_equal_cstr(SPAN("memory:"), settings->url);
    arena_init(&replay->arena, REPLAY_ARENA_MAX);
    buf_init(&replay->out, REPLAY_OUT_MAX);
    err_t code = open_machine(replay, error);
    if (code == ERR_OK) {
        replay->machine.executor = &replay->executor;
        code = run_script(replay, script, ret_summary, error);
        engine_machine_close(&replay->machine);
    }
    buf_release(&replay->out);
    arena_release(&replay->arena);
    free(replay);
    return code;
}

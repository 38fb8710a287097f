/* `tael txn` of transactions with participants over HTTP: GET and POST /v1/transactions. */
#include "txn.h"

#include "form/form.h"
#include "object.h"
#include "show.h"

#include <stdio.h>
#include <string.h>

#define TARGET_SIZE 128
#define FORM_MAX    2048

bool
txn_has_participants(const char *id)
{
    return span_starts_with(span_from_cstr(id), SPAN("dtx_"));
}

static enum show_style
style_of(struct span status)
{
    return span_equal_cstr(status, "committed") ? SHOW_GREEN
           : span_equal_cstr(status, "commit_stuck") || span_equal_cstr(status, "abort_stuck")
               ? SHOW_RED
               : SHOW_YELLOW;
}

static bool
print_list(const struct json_value *data)
{
    static const struct show_column columns[] = {
        {"TRANSACTION", false}, {"STATUS", false}, {"OWNER", false}, {"SINCE", true}};
    struct show_table table;
    if (data == NULL || data->kind != JSON_KIND_ARRAY) {
        return false;
    }
    if (data->child_count == 0) {
        return true;
    }
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (const struct json_value *one = data->first_child; one != NULL; one = one->next) {
        struct span status = client_text(one, "status");
        show_cell_span(&table, SHOW_BOLD, client_text(one, "id"));
        show_cell_span(&table, style_of(status), status);
        show_cell_span(&table, SHOW_PLAIN, client_text(one, "owner"));
        show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(one, "created", 0));
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}

static bool
print_one(const struct json_value *one)
{
    struct show_table table;
    struct span status = client_text(one, "status");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "transaction", SHOW_BOLD, client_text(one, "id"));
    show_pair(&table, "status", style_of(status), status);
    show_pair(&table, "owner", SHOW_PLAIN, client_text(one, "owner"));
    show_pair(&table, "note", SHOW_PLAIN, client_text(one, "note"));
    const struct json_value *members = client_member(one, "members");
    for (const struct json_value *member = members == NULL ? NULL : members->first_child;
         member != NULL;
         member = member->next) {
        struct span reason = client_text(member, "reason");
        show_cell_span(&table, SHOW_DIM, client_text(member, "name"));
        show_cell(
            &table,
            SHOW_PLAIN,
            "%.*s, %lld requests%s%.*s",
            SPAN_PRINTF(client_text(member, "state")),
            (long long)client_i64(member, "requests", 0),
            reason.size > 0 ? ": " : "",
            SPAN_PRINTF(reason));
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}

static int
print(const struct object_run *run, enum txn_verb verb, const struct client_answer *answer)
{
    return verb == TXN_LIST ? object_print_list(run, answer, print_list, "No transaction is open.")
                            : object_print(run, answer, print_one);
}

int
txn_participants(
    const struct command *command,
    const struct txn_options *options,
    enum txn_verb verb,
    const char *id)
{
    char text[TARGET_SIZE];
    char key[CLIENT_IDEMPOTENCY_KEY_SIZE];
    struct buf target;
    struct buf form;
    struct client_answer answer;
    struct object_run run = {.command = command, .options = &options->client};
    int status = client_open(command, &options->client, &run.client);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    buf_init_fixed(&target, text, sizeof(text));
    buf_init(&form, FORM_MAX);
    buf_append_format(&target, "/v1/transactions%s", verb == TXN_LIST ? "?open=true" : "/");
    buf_append_cstr(&target, id == NULL ? "" : id);
    buf_append_cstr(&target, verb == TXN_RESOLVE ? "/resolve" : "");
    struct client_request request = {.method = HTTP_METHOD_GET, .target = buf_span(&target)};
    if (verb == TXN_RESOLVE) {
        form_append(&form, "resolution", options->concludes ? SPAN("conclude") : SPAN("retry"));
        form_append(&form, "note", span_from_cstr(options->note));
        client_new_key(key);
        request.method = HTTP_METHOD_POST;
        request.body = buf_span(&form);
        request.idempotency_key = key;
    }
    status = client_call(run.client, &request, &answer);
    if (status == COMMAND_GO_ON) {
        status = print(&run, verb, &answer);
    }
    client_answer_release(&answer);
    buf_release(&form);
    client_close(&run.client);
    return status;
}

#include "object.h"

#include "form/form.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE   96
#define TARGET_SIZE 1024

int
object_begin(
    struct object_run *run,
    const struct command *command,
    struct command_options options,
    const struct client_options *client_options,
    char **argv)
{
    int positional = 0;
    *run = (struct object_run){.command = command, .options = client_options};
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (options.positional_max > 0) {
        run->id = span_from_cstr(argv[1]);
        if (!text_is_id(run->id)) {
            return command_misuse(command, "'%.80s' is no id", argv[1]);
        }
    }
    return client_open(command, client_options, &run->client);
}

void
object_list_form(struct buf *form, int64_t limit, const char *customer, const char *after)
{
    if (limit != 0) {
        form_append_i64(form, "limit", limit);
    }
    if (customer[0] != '\0') {
        form_append(form, "customer", span_from_cstr(customer));
    }
    if (after[0] != '\0') {
        form_append(form, "starting_after", span_from_cstr(after));
    }
}

int
object_get(
    const struct object_run *run,
    const char *path,
    const char *behind,
    struct span form,
    struct client_answer *ret_answer)
{
    char text[TARGET_SIZE];
    struct buf target;
    buf_init_fixed(&target, text, sizeof(text));
    buf_append_cstr(&target, path);
    buf_append_span(&target, run->id);
    buf_append_cstr(&target, behind);
    buf_append_cstr(&target, form.size > 0 ? "?" : "");
    buf_append_span(&target, form);
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = buf_span(&target)};
    return client_call(run->client, &request, ret_answer);
}

int
object_print(
    const struct object_run *run,
    const struct client_answer *answer,
    bool (*print)(const struct json_value *object))
{
    if (run->options->json) {
        client_answer_print(answer);
        return COMMAND_OK;
    }
    return print(answer->root) ? COMMAND_OK : COMMAND_FAILED;
}

int
object_print_list(
    const struct object_run *run,
    const struct client_answer *answer,
    bool (*print)(const struct json_value *data),
    const char *nothing)
{
    if (run->options->json) {
        client_answer_print(answer);
        return COMMAND_OK;
    }
    const struct json_value *data = client_member(answer->root, "data");
    if (!print(data)) {
        return COMMAND_FAILED;
    }
    if (data == NULL || data->child_count == 0) {
        (void)puts(nothing);
    } else if (client_bool(answer->root, "has_more")) {
        struct span last = client_text(data->last_child, "id");
        (void)printf("There are more: --after=%.*s\n", SPAN_PRINTF(last));
    }
    return COMMAND_OK;
}

void
object_cell_amount(struct show_table *table, int64_t amount, struct span currency)
{
    char text[TEXT_SIZE];
    struct buf out;
    buf_init_fixed(&out, text, sizeof(text));
    text_amount_append(&out, amount, currency);
    show_cell_span(table, SHOW_PLAIN, buf_span(&out));
}

void
object_cell_created(struct show_table *table, const struct json_value *object)
{
    char text[TEXT_SIZE];
    struct buf moment;
    buf_init_fixed(&moment, text, sizeof(text));
    text_moment_append(&moment, client_i64(object, "created", 0));
    show_cell_span(table, SHOW_PLAIN, buf_span(&moment));
}

void
object_pair_created(struct show_table *table, const struct json_value *object)
{
    show_cell(table, SHOW_DIM, "created");
    object_cell_created(table, object);
}

/* `tael keys create, list, revoke`: API keys of the merchant and mode of the key that asks. */
#include "client.h"
#include "show.h"

#include "form/form.h"

#include <stdio.h>

#define FORM_MAX    (1U << 12)
#define TARGET_SIZE 160

struct keys_options {
    struct client_options client;
    char type[16];
    char name[64];
    char permissions[1001];
};

static const struct setting create_settings[] = {
    OPTION_TEXT(struct keys_options, type, "type", "secret", "secret, publishable or restricted."),
    OPTION_TEXT(struct keys_options, name, "name", "", "What the key is for."),
    OPTION_TEXT(
        struct keys_options,
        permissions,
        "permissions",
        "",
        "Of a restricted key: payment_intents:write,charges:read."),
    CLIENT_OPTIONS(struct keys_options),
};
static const struct setting plain_settings[] = {CLIENT_OPTIONS(struct keys_options)};

static bool
print_list(const struct json_value *data)
{
    static const struct show_column columns[] = {
        {.title = "KEY"},
        {.title = "TYPE"},
        {.title = "MODE"},
        {.title = "NAME"},
        {.title = "HINT"},
        {.title = "CREATED (UTC)"},
        {.title = ""},
    };
    struct show_table table;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    const struct json_value *key = data == NULL ? NULL : data->first_child;
    for (; key != NULL; key = key->next) {
        char text[64];
        struct buf moment;
        buf_init_fixed(&moment, text, sizeof(text));
        text_moment_append(&moment, client_i64(key, "created", 0));
        bool revoked = client_bool(key, "revoked");
        enum show_style style = revoked ? SHOW_DIM : SHOW_PLAIN;
        show_cell_span(&table, style, client_text(key, "id"));
        show_cell_span(&table, style, client_text(key, "type"));
        show_cell(&table, style, "%s", client_bool(key, "livemode") ? "live" : "test");
        show_cell_span(&table, style, client_text(key, "name"));
        show_cell_span(&table, style, client_text(key, "hint"));
        show_cell_span(&table, style, buf_span(&moment));
        show_cell(&table, SHOW_RED, "%s", revoked ? "revoked" : "");
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}

static bool
print_created(const struct json_value *key)
{
    struct span text = client_text(key, "key");
    if (text.size == 0) {
        (void)fputs("tael keys create: the answer has no key in it\n", stderr);
        return false;
    }
    (void)printf("%.*s\n", SPAN_PRINTF(text));
    (void)fprintf(
        stderr, "This is the only time that %.*s is shown.\n", SPAN_PRINTF(client_text(key, "id")));
    return true;
}

static bool
print_revoked(const struct json_value *key)
{
    (void)printf("%.*s is revoked.\n", SPAN_PRINTF(client_text(key, "id")));
    return true;
}

static bool
print_listing(const struct json_value *answer)
{
    return print_list(client_member(answer, "data"));
}

static int
call_once(
    const struct command *command,
    const struct keys_options *options,
    const struct client_request *request,
    bool (*print)(const struct json_value *root))
{
    struct client *client = NULL;
    int status = client_open(command, &options->client, &client);
    return status == COMMAND_GO_ON ? client_ask_once(client, request, print) : status;
}

static int
run_create(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct keys_options values;
    const struct command_options options = {COMMAND_TABLE(create_settings), .values = &values};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char text[FORM_MAX];
    struct buf form;
    buf_init_fixed(&form, text, sizeof(text));
    form_append(&form, "type", span_from_cstr(values.type));
    if (values.name[0] != '\0') {
        form_append(&form, "name", span_from_cstr(values.name));
    }
    if (values.permissions[0] != '\0') {
        form_append(&form, "permissions", span_from_cstr(values.permissions));
    }
    if (buf_failed(&form)) {
        return command_misuse(command, "the permissions are too long");
    }
    struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = SPAN("/v1/tael/api_keys"),
        .body = buf_span(&form),
    };
    return call_once(command, &values, &request, print_created);
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct keys_options values;
    const struct command_options options = {COMMAND_TABLE(plain_settings), .values = &values};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct client_request request = {
        .method = HTTP_METHOD_GET, .target = SPAN("/v1/tael/api_keys")};
    return call_once(command, &values, &request, print_listing);
}

static int
run_revoke(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct keys_options values;
    const struct command_options options = {
        COMMAND_TABLE(plain_settings), .values = &values, .positional_min = 1, .positional_max = 1};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char target[TARGET_SIZE];
    struct span id = span_from_cstr(argv[1]);
    if (!text_is_id(id)) {
        return command_misuse(command, "'%.80s' is no id", argv[1]);
    }
    struct buf path;
    buf_init_fixed(&path, target, sizeof(target));
    buf_append_cstr(&path, "/v1/tael/api_keys/");
    buf_append_span(&path, id);
    struct client_request request = {.method = HTTP_METHOD_DELETE, .target = buf_span(&path)};
    return call_once(command, &values, &request, print_revoked);
}

static const struct command keys_create = {
    .name = "create",
    .usage = "[OPTIONS]",
    .summary = "Makes a key, which is shown once",
    .run = run_create,
    .parent = &command_keys,
};
static const struct command keys_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "The keys there are, without their secret part",
    .run = run_list,
    .parent = &command_keys,
};
static const struct command keys_revoke = {
    .name = "revoke",
    .usage = "KEY_ID [OPTIONS]",
    .summary = "Ends a key for good",
    .run = run_revoke,
    .parent = &command_keys,
};

static const struct command *const keys_children[] = {&keys_create, &keys_list, &keys_revoke, NULL};

const struct command command_keys = {
    .name = "keys",
    .usage = "COMMAND",
    .summary = "Makes, lists and revokes API keys",
    .children = keys_children,
};

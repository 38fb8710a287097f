/* `tael openapi`: the description of the API, from the tables that the server routes by. */
#include "command.h"
#include "roles.h"

#include <stdio.h>

#define DOCUMENT_SIZE_MAX (4U << 20)

static int
run(const struct command *command, int argc, char **argv)
{
    (void)argc;
    int positional = 0;
    const struct command_options options = {.positional_max = 0};
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    static const struct node nothing = {.port = 0};
    struct api_routes tables[API_ROUTE_TABLES_MAX];
    struct buf document;
    buf_init(&document, DOCUMENT_SIZE_MAX);
    err_t result = api_describe(tables, role_api_tables(&nothing, tables), &document);
    if (result == ERR_OK && buf_failed(&document)) {
        result = ERR_MEMORY;
    }
    if (result != ERR_OK) {
        status = command_fail(command, "%s", err_text(result));
    } else {
        (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&document)));
        status = COMMAND_OK;
    }
    buf_release(&document);
    return status;
}

const struct command command_openapi = {
    .name = "openapi",
    .usage = "",
    .summary = "Prints the description of the API (OpenAPI 3.1)",
    .manual = "It is the document that a server answers at GET /v1/openapi.json.",
    .run = run,
};

/* Any text as the URL of a ledger on PostgreSQL: refused with a reason, or options in their ranges
 * and a URL without them, which libpq takes or refuses with a reason too. */
#include "postgres.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_options(const struct store_pg_options *options)
{
    size_t size = strnlen(options->schema, sizeof(options->schema));
    ASSERT(size > 0 && size < sizeof(options->schema));
    /* It goes into statements as it is. */
    ASSERT(strspn(options->schema, "abcdefghijklmnopqrstuvwxyz0123456789_") == size);
    ASSERT(options->schema[0] < '0' || options->schema[0] > '9');
    ASSERT(options->lease_ms >= 500 && options->lease_ms <= 600000);
    ASSERT(options->copy_above <= INT32_MAX);
}

static void
check_rest(const char *rest, const char *url)
{
    struct postgres_parameters parameters = {0};
    char message[STORE_MESSAGE_SIZE] = "";
    ASSERT(strlen(rest) <= strlen(url));
    err_t code =
        postgres_parameters_parse(rest, "-c search_path=x ", &parameters, message, sizeof(message));
    if (code == ERR_OK) {
        uint32_t count = 0;
        while (parameters.keywords[count] != NULL) {
            ASSERT(parameters.values[count] != NULL);
            count++;
        }
        ASSERT(parameters.values[count] == NULL);
        ASSERT(parameters.host_count >= 1);
    } else {
        ASSERT(code == ERR_MEMORY || message[0] != '\0');
        ASSERT(strnlen(message, sizeof(message)) < sizeof(message));
    }
    postgres_parameters_release(&parameters);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_pg_options options;
    struct store_error error = {0};
    char *url = malloc(size + 1);
    char *rest = malloc(size + 1);
    ASSERT(url != NULL && rest != NULL);
    memcpy(url, data, size);
    url[size] = '\0'; /* an earlier zero ends it, as of any setting */
    err_t code = store_pg_url(url, &options, rest, &error);
    if (code == ERR_OK) {
        check_options(&options);
        check_rest(rest, url);
    } else {
        ASSERT(code == ERR_INVALID && error.message[0] != '\0');
    }
    free(url);
    free(rest);
    return 0;
}

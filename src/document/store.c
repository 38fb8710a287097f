/* Which database a URL means. */
#include "postgres.h"
#include "sharded.h"
#include "sqlite.h"

#include <stdio.h>
#include <string.h>

err_t
document_store_open(
    const char *url,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    static const char sqlite[] = "sqlite:", shards[] = "shards:";
    message[0] = '\0';
    if (strncmp(url, sqlite, sizeof(sqlite) - 1) == 0) {
        return document_sqlite_open(
            url + sizeof(sqlite) - 1, kinds, kind_count, ret_store, message);
    }
    if (strncmp(url, "postgres:", 9) == 0 || strncmp(url, "postgresql:", 11) == 0) {
        return document_pg_open(url, NULL, kinds, kind_count, ret_store, message);
    }
    if (strncmp(url, shards, sizeof(shards) - 1) == 0) {
        return document_sharded_open(
            url + sizeof(shards) - 1, kinds, kind_count, ret_store, message);
    }
    /* It may carry a password: no more of it than its scheme is shown. */
    size_t scheme = strcspn(url, ":");
    (void)snprintf(
        message,
        DOCUMENT_MESSAGE_SIZE,
        "not a document store: %.*s (sqlite:FILE, postgres://... or shards:FILE)",
        (int)(scheme < 40 ? scheme : 40),
        url);
    return ERR_UNSUPPORTED;
}

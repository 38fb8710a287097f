#include "document/reader.h"

#include "sqlite.h"

#include "base/assert.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_SIZE  256
#define URI_SIZE  4096
#define IMMUTABLE "?immutable=1"

struct document_reader {
    sqlite3 *db;
};

static err_t
explain(struct document_reader *reader, int code, char message[DOCUMENT_MESSAGE_SIZE])
{
    err_t result = document_sqlite_error(code);
    const char *text = reader->db == NULL ? err_text(result) : sqlite3_errmsg(reader->db);
    (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", text);
    return result;
}

/* Of a file that nobody writes to, SQLite then needs neither log nor shared memory
 * (sqlite.org/uri.html, "immutable"). A path that is too long is cut, and not found. */
static void
uri_of(const char *path, char out[URI_SIZE])
{
    struct buf uri;
    buf_init_fixed(&uri, out, URI_SIZE - sizeof(IMMUTABLE));
    buf_append_cstr(&uri, "file:");
    for (const char *byte = path; *byte != '\0'; byte++) {
        bool plain = (*byte >= 'a' && *byte <= 'z') || (*byte >= 'A' && *byte <= 'Z') ||
                     (*byte >= '0' && *byte <= '9') || strchr("/._-", *byte) != NULL;
        if (plain) {
            buf_append_byte(&uri, *byte);
        } else {
            buf_append_format(&uri, "%%%02X", (unsigned)(uint8_t)*byte);
        }
    }
    memcpy(out + uri.size, IMMUTABLE, sizeof(IMMUTABLE));
}

err_t
document_reader_open(
    const char *path, struct document_reader **ret_reader, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    char uri[URI_SIZE];
    uri_of(path, uri);
    int flags =
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(uri, &reader->db, flags, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(reader->db, "PRAGMA trusted_schema = OFF", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        err_t result = explain(reader, code, message);
        document_reader_close(&reader);
        return result;
    }
    *ret_reader = reader;
    return ERR_OK;
}

void
document_reader_close(struct document_reader **reader)
{
    if (*reader == NULL) {
        return;
    }
    int code = sqlite3_close((*reader)->db);
    ASSERT(code == SQLITE_OK);
    free(*reader);
    *reader = NULL;
}

static struct span
text_of(sqlite3_stmt *statement, int column)
{
    const void *text = sqlite3_column_blob(statement, column);
    return span_of(text, (size_t)sqlite3_column_bytes(statement, column));
}

err_t
document_reader_check(struct document_reader *reader, char message[DOCUMENT_MESSAGE_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(reader->db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    err_t result = ERR_OK;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        struct span found = text_of(statement, 0);
        if (!span_equal_cstr(found, "ok")) {
            struct buf text;
            buf_init_fixed(&text, message, DOCUMENT_MESSAGE_SIZE - 1);
            buf_append_span(&text, span_slice(found, 0, DOCUMENT_MESSAGE_SIZE - 1));
            message[text.size] = '\0';
            result = ERR_CORRUPT;
        }
    } else {
        result = explain(reader, code, message);
    }
    (void)sqlite3_finalize(statement);
    return result;
}

/* Does the kind have a table? */
static int
has_table(struct document_reader *reader, const char *kind, bool *ret_has)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        reader->db,
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
        -1,
        &statement,
        NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        *ret_has = code == SQLITE_ROW;
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Tells all rows of a statement that selects scope, id and body. */
static err_t
tell_rows(
    struct document_reader *reader,
    sqlite3_stmt *statement,
    document_reader_row each,
    void *context,
    uint64_t *ret_count,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        ++*ret_count;
        TRY(each(
            context,
            (uint64_t)sqlite3_column_int64(statement, 0),
            text_of(statement, 1),
            text_of(statement, 2)));
    }
    return code == SQLITE_DONE ? ERR_OK : explain(reader, code, message);
}

err_t
document_reader_each(
    struct document_reader *reader,
    const char *kind,
    document_reader_row each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char sql[SQL_SIZE];
    bool has = false;
    uint64_t count = 0;
    sqlite3_stmt *statement = NULL;
    int code = has_table(reader, kind, &has);
    if (code == SQLITE_OK && !has) {
        return ERR_OK;
    }
    (void)snprintf(sql, sizeof(sql), "SELECT scope, id, body FROM \"%.100s\"", kind);
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(reader->db, sql, -1, &statement, NULL);
    }
    err_t result = code == SQLITE_OK ? tell_rows(reader, statement, each, context, &count, message)
                                     : explain(reader, code, message);
    (void)sqlite3_finalize(statement);
    return result;
}

err_t
document_reader_get(
    struct document_reader *reader,
    const struct document_reader_key *key,
    document_reader_row each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char sql[SQL_SIZE];
    uint64_t count = 0;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT scope, id, body FROM \"%.100s\" WHERE scope = ? AND id = ?",
        key->kind);
    int code = sqlite3_prepare_v2(reader->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(statement, 1, (sqlite3_int64)key->scope);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 2, key->id.data, (int)key->id.size, SQLITE_STATIC);
    }
    err_t result = code == SQLITE_OK ? tell_rows(reader, statement, each, context, &count, message)
                                     : explain(reader, code, message);
    (void)sqlite3_finalize(statement);
    bool has = true;
    if (result != ERR_OK && has_table(reader, key->kind, &has) == SQLITE_OK && !has) {
        result = ERR_OK;
    }
    if (result == ERR_OK && count == 0) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", err_text(ERR_NOT_FOUND));
        return ERR_NOT_FOUND;
    }
    return result;
}

#include "backup_manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE "# tael backup 1"

void
backup_manifest_release(struct backup_manifest *manifest)
{
    free(manifest->files);
    *manifest = (struct backup_manifest){0};
}

static bool
name_is_sound(struct span name)
{
    bool sound = name.size > 0 && name.data[0] != '.';
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        sound =
            sound && ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-');
    }
    return sound;
}

bool
backup_path_is_sound(struct span path)
{
    if (path.size + sizeof(BACKUP_SHARED) > BACKUP_PATH_SIZE) {
        return false;
    }
    size_t slash = span_find(path, '/', 0);
    if (slash == path.size) {
        return name_is_sound(path);
    }
    return name_is_sound(span_slice(path, 0, slash)) &&
           name_is_sound(span_slice(path, slash + 1, path.size));
}

const char *
backup_path_own(const char *path)
{
    bool shared = span_starts_with(span_from_cstr(path), SPAN(BACKUP_SHARED));
    return shared ? path + strlen(BACKUP_SHARED) : path;
}

err_t
backup_manifest_add(
    struct backup_manifest *manifest, const char *path, const uint8_t digest[STORE_DIGEST_SIZE])
{
    if (!backup_path_is_sound(span_from_cstr(backup_path_own(path)))) {
        return ERR_INVALID;
    }
    if (manifest->count == BACKUP_FILES_MAX) {
        return ERR_FULL;
    }
    if (manifest->count == manifest->capacity) {
        uint32_t capacity = manifest->capacity == 0 ? 64 : manifest->capacity * 2;
        struct backup_file *grown =
            realloc(manifest->files, (size_t)capacity * sizeof(*manifest->files));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        manifest->files = grown;
        manifest->capacity = capacity;
    }
    struct backup_file *file = &manifest->files[manifest->count++];
    (void)snprintf(file->path, sizeof(file->path), "%s", path);
    memcpy(file->digest, digest, sizeof(file->digest));
    return ERR_OK;
}

const struct backup_file *
backup_manifest_find(const struct backup_manifest *manifest, const char *path)
{
    for (uint32_t i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->files[i].path, path) == 0) {
            return &manifest->files[i];
        }
    }
    return NULL;
}

void
backup_manifest_write(const struct backup_manifest *manifest, struct buf *out)
{
    char head[STORE_HEAD_TEXT_SIZE];
    store_head_format(&manifest->head, head);
    buf_append_format(
        out,
        FIRST_LINE "\n# made %" PRIu64 "\n# documents %s\n# head %s\n",
        manifest->made_ns,
        manifest->documents ? "yes" : "no",
        head);
    for (uint32_t i = 0; i < manifest->count; i++) {
        buf_append_hex(out, manifest->files[i].digest, STORE_DIGEST_SIZE);
        buf_append_format(out, "  %s\n", manifest->files[i].path);
    }
    buf_append_format(out, "# files %" PRIu32 "\n", manifest->count);
}

/* --- reading --- */

struct reader {
    struct span rest;
    uint32_t line;
};

/* The next line without its end; false if there is none that is whole. */
static bool
line_next(struct reader *reader, struct span *ret_line)
{
    size_t end = span_find(reader->rest, '\n', 0);
    if (end == reader->rest.size) {
        return false;
    }
    *ret_line = span_slice(reader->rest, 0, end);
    reader->rest = span_slice(reader->rest, end + 1, reader->rest.size);
    reader->line++;
    return true;
}

/* The value of the next line, which must begin with "# NAME ". */
static bool
value_next(struct reader *reader, const char *prefix, struct span *ret_value)
{
    struct span line;
    struct span wanted = span_from_cstr(prefix);
    if (!line_next(reader, &line) || !span_starts_with(line, wanted)) {
        return false;
    }
    *ret_value = span_slice(line, wanted.size, line.size);
    return true;
}

static bool
digest_read(struct span text, uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    for (size_t i = 0; i < 2 * (size_t)STORE_DIGEST_SIZE; i++) {
        char digit = text.data[i];
        bool decimal = digit >= '0' && digit <= '9';
        if (!decimal && !(digit >= 'a' && digit <= 'f')) {
            return false;
        }
        uint8_t value = (uint8_t)(decimal ? digit - '0' : digit - 'a' + 10);
        ret_digest[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : ret_digest[i / 2] | value);
    }
    return true;
}

/* "DIGEST  PATH" */
static err_t
file_read(struct span line, struct backup_manifest *manifest, const char **ret_reason)
{
    const size_t digits = 2 * (size_t)STORE_DIGEST_SIZE;
    uint8_t digest[STORE_DIGEST_SIZE];
    *ret_reason = "no SHA-256 with two spaces and a path behind it";
    if (line.size < digits + 3 || !span_equal(span_slice(line, digits, digits + 2), SPAN("  ")) ||
        !digest_read(line, digest)) {
        return ERR_INVALID;
    }
    struct span path = span_slice(line, digits + 2, line.size);
    char text[BACKUP_PATH_SIZE];
    *ret_reason = "the path is not one of a backup's";
    if (path.size >= sizeof(text) || memchr(path.data, '\0', path.size) != NULL) {
        return ERR_INVALID;
    }
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    return backup_manifest_add(manifest, text, digest);
}

static err_t
head_read(struct reader *reader, struct backup_manifest *manifest, const char **ret_reason)
{
    struct span value;
    *ret_reason = "this is no backup's manifest, or one of another version";
    if (!line_next(reader, &value) || !span_equal(value, SPAN(FIRST_LINE))) {
        return ERR_INVALID;
    }
    *ret_reason = "'# made' with a number is missing";
    if (!value_next(reader, "# made ", &value) || !span_parse_u64(value, &manifest->made_ns)) {
        return ERR_INVALID;
    }
    *ret_reason = "'# documents yes' or 'no' is missing";
    if (!value_next(reader, "# documents ", &value)) {
        return ERR_INVALID;
    }
    manifest->documents = span_equal(value, SPAN("yes"));
    if (!manifest->documents && !span_equal(value, SPAN("no"))) {
        return ERR_INVALID;
    }
    *ret_reason = "'# head' is missing";
    if (!value_next(reader, "# head ", &value)) {
        return ERR_INVALID;
    }
    return store_head_parse(value, &manifest->head, ret_reason);
}

static err_t
files_read(struct reader *reader, struct backup_manifest *manifest, const char **ret_reason)
{
    struct span line;
    uint64_t count = 0;
    for (;;) {
        *ret_reason = "it ends before its last line, '# files'";
        if (!line_next(reader, &line)) {
            reader->line++;
            return ERR_INVALID;
        }
        if (span_starts_with(line, SPAN("# files "))) {
            break;
        }
        TRY(file_read(line, manifest, ret_reason));
    }
    *ret_reason = "'# files' does not count the lines before it";
    if (!span_parse_u64(span_slice(line, strlen("# files "), line.size), &count) ||
        count != manifest->count) {
        return ERR_INVALID;
    }
    *ret_reason = "something follows the last line";
    return reader->rest.size == 0 ? ERR_OK : ERR_INVALID;
}

err_t
backup_manifest_read(
    struct span text, struct backup_manifest *manifest, uint32_t *ret_line, const char **ret_reason)
{
    struct reader reader = {.rest = text};
    err_t result = head_read(&reader, manifest, ret_reason);
    if (result == ERR_OK) {
        result = files_read(&reader, manifest, ret_reason);
    }
    *ret_line = reader.line == 0 ? 1 : reader.line; /* an empty text lacks its first line */
    return result;
}

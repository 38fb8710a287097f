#include "backup_keys.h"

#include "base/span.h"

#include <stdio.h>
#include <string.h>

#define GENERATION_MAX 999999

void
backup_key_name(uint32_t generation, char out[BACKUP_KEY_NAME_SIZE])
{
    if (generation == 1) {
        (void)snprintf(out, BACKUP_KEY_NAME_SIZE, "master.key");
    } else {
        (void)snprintf(out, BACKUP_KEY_NAME_SIZE, "master-%u.key", generation);
    }
}

bool
backup_key_parse(const char *name, uint32_t *ret_generation)
{
    char written[BACKUP_KEY_NAME_SIZE];
    struct span text = span_from_cstr(name);
    uint64_t generation = 1;
    if (span_starts_with(text, SPAN("master-"))) {
        text = span_slice(text, sizeof("master-") - 1, text.size);
        if (!span_parse_u64(span_slice(text, 0, span_find(text, '.', 0)), &generation) ||
            generation == 0 || generation > GENERATION_MAX) {
            return false;
        }
    }
    backup_key_name((uint32_t)generation, written);
    if (strcmp(written, name) != 0) {
        return false;
    }
    *ret_generation = (uint32_t)generation;
    return true;
}

struct listing {
    uint32_t generations[BACKUP_KEYS_MAX];
    uint32_t count;
    bool full;
};

static void
see_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint32_t generation;
    if (!backup_key_parse(name, &generation)) {
        return;
    }
    if (listing->count == BACKUP_KEYS_MAX) {
        listing->full = true;
        return;
    }
    listing->generations[listing->count++] = generation;
}

static struct backup_key *
find(struct backup_keys *keys, uint32_t generation)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].generation == generation) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

static err_t
hold(struct backup_keys *keys, const char *folder, uint32_t generation)
{
    char path[OS_PATH_SIZE];
    char name[BACKUP_KEY_NAME_SIZE];
    struct os_file *file = NULL;
    backup_key_name(generation, name);
    TRY(backup_data_path_in(folder, name, path));
    err_t code = keys->disk->ops->open(keys->disk, path, OS_OPEN_READ, false, &file, NULL);
    if (code != ERR_OK) {
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    }
    struct backup_key *key = find(keys, generation);
    if (key != NULL) {
        keys->disk->ops->close(keys->disk, key->file);
    } else if (keys->count < BACKUP_KEYS_MAX) {
        key = &keys->keys[keys->count++];
    } else {
        keys->disk->ops->close(keys->disk, file);
        return ERR_FULL;
    }
    *key = (struct backup_key){.generation = generation, .file = file};
    return ERR_OK;
}

static uint32_t
newest(const struct backup_keys *keys)
{
    uint32_t generation = 0;
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].generation > generation) {
            generation = keys->keys[i].generation;
        }
    }
    return generation;
}

/* The database of the moment is of the newest generation of the first look or of a later one, and
 * generations have no gaps: if none of these is missing it is among them. */
static bool
none_came_and_went(struct backup_keys *keys)
{
    bool all = true;
    for (uint32_t i = keys->newest_before; all && i <= newest(keys); i++) {
        all = find(keys, i) != NULL;
    }
    return all;
}

err_t
backup_keys_look(struct backup_keys *keys, const char *folder, char message[BACKUP_MESSAGE_SIZE])
{
    char path[OS_PATH_SIZE];
    struct listing listing = {.count = 0};
    bool is_first = keys->newest_before == 0;
    err_t code = backup_data_path_in(folder, "vault", path);
    if (code == ERR_OK) {
        code = keys->disk->ops->list(keys->disk, path, see_name, &listing);
    }
    if (code == ERR_OK && listing.full) {
        code = ERR_FULL;
    }
    for (uint32_t i = 0; i < listing.count && code == ERR_OK; i++) {
        code = hold(keys, path, listing.generations[i]);
    }
    if (code != ERR_OK) {
        return backup_fail(message, code, "%s/vault: master keys: %s", folder, err_text(code));
    }
    if (is_first) {
        keys->newest_before = newest(keys);
        return ERR_OK;
    }
    if (!none_came_and_went(keys)) {
        return backup_fail(
            message, ERR_BUSY, "%s/vault: its keys are being rotated: try again", folder);
    }
    return ERR_OK;
}

void
backup_keys_close(struct backup_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        keys->disk->ops->close(keys->disk, keys->keys[i].file);
    }
    keys->count = 0;
}

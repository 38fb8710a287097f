#include "vault/master.h"

#include "base/assert.h"
#include "base/buf.h"
#include "os/key_file.h"

#include <string.h>

#define PREFIX "master-"
#define SUFFIX ".key"

void
vault_master_name(uint32_t generation, char out[VAULT_MASTER_NAME_SIZE])
{
    struct buf text;
    ASSERT(generation >= VAULT_GENERATION_FIRST && generation <= VAULT_GENERATION_MAX);
    buf_init_fixed(&text, out, VAULT_MASTER_NAME_SIZE);
    if (generation == VAULT_GENERATION_FIRST) {
        buf_append_cstr(&text, "master" SUFFIX);
    } else {
        buf_append_format(&text, PREFIX "%u" SUFFIX, generation);
    }
    buf_append_byte(&text, '\0');
    ASSERT(!buf_failed(&text));
}

bool
vault_master_parse(const char *name, uint32_t *ret_generation)
{
    struct span text = span_from_cstr(name);
    uint64_t generation = VAULT_GENERATION_FIRST;
    char written[VAULT_MASTER_NAME_SIZE];
    if (span_starts_with(text, SPAN(PREFIX))) {
        text = span_slice(text, sizeof(PREFIX) - 1, text.size);
        if (!span_parse_u64(span_slice(text, 0, span_find(text, '.', 0)), &generation) ||
            generation < VAULT_GENERATION_FIRST || generation > VAULT_GENERATION_MAX) {
            return false;
        }
    }
    /* One name for each: no zeros before the number, nothing behind it. */
    vault_master_name((uint32_t)generation, written);
    if (strcmp(written, name) != 0) {
        return false;
    }
    *ret_generation = (uint32_t)generation;
    return true;
}

static err_t
path_of(const char *folder, uint32_t generation, char out[OS_PATH_SIZE])
{
    char name[VAULT_MASTER_NAME_SIZE];
    struct buf text;
    vault_master_name(generation, name);
    buf_init_fixed(&text, out, OS_PATH_SIZE);
    buf_append_format(&text, "%s/%s", folder, name);
    buf_append_byte(&text, '\0');
    return buf_failed(&text) ? ERR_RANGE : ERR_OK;
}

err_t
vault_master_make(
    struct os_disk *disk, struct os_entropy *entropy, const char *folder, uint32_t generation)
{
    char name[VAULT_MASTER_NAME_SIZE];
    vault_master_name(generation, name);
    return os_key_file_make(disk, entropy, folder, name, VAULT_MASTER_SIZE);
}

err_t
vault_master_load(
    struct os_disk *disk,
    const char *folder,
    uint32_t generation,
    uint8_t ret_master[VAULT_MASTER_SIZE])
{
    char path[OS_PATH_SIZE];
    TRY(path_of(folder, generation, path));
    return os_key_file_load(disk, path, ret_master, VAULT_MASTER_SIZE);
}

struct range {
    uint32_t oldest, newest;
    uint32_t before; /* the newest of those before this one: `below`; 0: none */
    uint32_t below;
};

static void
see_name(void *context, const char *name)
{
    struct range *range = context;
    uint32_t generation;
    if (!vault_master_parse(name, &generation)) {
        return;
    }
    range->oldest = range->oldest == 0 || generation < range->oldest ? generation : range->oldest;
    range->newest = generation > range->newest ? generation : range->newest;
    if (generation < range->below && generation > range->before) {
        range->before = generation;
    }
}

err_t
vault_master_range(
    struct os_disk *disk, const char *folder, uint32_t *ret_oldest, uint32_t *ret_newest)
{
    struct range range = {0};
    TRY(disk->ops->list(disk, folder, see_name, &range));
    *ret_oldest = range.oldest;
    *ret_newest = range.newest;
    return ERR_OK;
}

err_t
vault_master_remove_before(struct os_disk *disk, const char *folder, uint32_t generation)
{
    char path[OS_PATH_SIZE];
    struct range range = {.below = generation};
    TRY(disk->ops->list(disk, folder, see_name, &range));
    while (range.before != 0) {
        TRY(path_of(folder, range.before, path));
        TRY(disk->ops->remove(disk, path));
        range = (struct range){.below = range.before};
        TRY(disk->ops->list(disk, folder, see_name, &range));
    }
    return disk->ops->sync_folder(disk, folder);
}

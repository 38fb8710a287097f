#include "backup_folder.h"

#include "base/assert.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of a name without the zero. */
#define NAME_LENGTH 26
/* Folders within the folder that is removed. */
#define REMOVE_DEPTH_MAX 2

void
backup_folder_name(uint64_t made_ns, char out[BACKUP_POINT_NAME_SIZE])
{
    time_t seconds = (time_t)(made_ns / OS_NS_PER_S);
    struct tm moment;
    char day[32];
    ASSERT(gmtime_r(&seconds, &moment) != NULL);
    (void)strftime(day, sizeof(day), "%Y%m%dT%H%M%S", &moment);
    (void)snprintf(out, BACKUP_POINT_NAME_SIZE, "%s.%09" PRIu64 "Z", day, made_ns % OS_NS_PER_S);
}

/* --- choosing --- */

struct choice {
    char bound[BACKUP_POINT_NAME_SIZE];
    bool newest;
    char name[BACKUP_POINT_NAME_SIZE]; /* empty: none yet */
};

static void
choose(void *context, const char *name)
{
    struct choice *choice = context;
    if (strlen(name) != NAME_LENGTH || name[NAME_LENGTH - 1] != 'Z') {
        return;
    }
    int order = strcmp(name, choice->bound);
    bool fits = choice->newest ? order <= 0 : order >= 0;
    /* Names come in ascending order. */
    if (fits && (choice->newest || choice->name[0] == '\0')) {
        memcpy(choice->name, name, NAME_LENGTH + 1);
    }
}

static err_t
find(
    struct os_disk *disk,
    const char *points,
    uint64_t bound_ns,
    bool newest,
    char ret_name[BACKUP_POINT_NAME_SIZE])
{
    struct choice choice = {.newest = newest};
    /* What lies beyond the years that a name has is beyond every name. */
    if (bound_ns > (uint64_t)INT64_MAX) {
        memset(choice.bound, '9', NAME_LENGTH);
    } else {
        backup_folder_name(bound_ns, choice.bound);
    }
    TRY(disk->ops->list(disk, points, choose, &choice));
    if (choice.name[0] == '\0') {
        return ERR_NOT_FOUND;
    }
    memcpy(ret_name, choice.name, BACKUP_POINT_NAME_SIZE);
    return ERR_OK;
}

err_t
backup_folder_newest(
    struct os_disk *disk,
    const char *points,
    uint64_t until_ns,
    char ret_name[BACKUP_POINT_NAME_SIZE])
{
    return find(disk, points, until_ns, true, ret_name);
}

err_t
backup_folder_oldest(
    struct os_disk *disk,
    const char *points,
    uint64_t from_ns,
    char ret_name[BACKUP_POINT_NAME_SIZE])
{
    return find(disk, points, from_ns, false, ret_name);
}

err_t
backup_folder_manifest(
    struct os_disk *disk,
    const char *points,
    const char *name,
    struct backup_manifest *manifest,
    char *message,
    size_t message_size)
{
    char path[OS_PATH_SIZE];
    char *text = NULL;
    size_t size = 0;
    uint32_t line = 0;
    const char *reason = NULL;
    int length = snprintf(path, sizeof(path), "%s/%s/" BACKUP_MANIFEST_NAME, points, name);
    err_t code = length > 0 && length < OS_PATH_SIZE ? ERR_OK : ERR_RANGE;
    if (code == ERR_OK) {
        code = os_file_load(disk, path, BACKUP_MANIFEST_SIZE_MAX, &text, &size);
    }
    if (code != ERR_OK) {
        (void)snprintf(message, message_size, "%s: %s", path, err_text(code));
        return code;
    }
    code = backup_manifest_read(span_of(text, size), manifest, &line, &reason);
    if (code != ERR_OK) {
        (void)snprintf(message, message_size, "%s: line %" PRIu32 ": %s", path, line, reason);
    }
    free(text);
    return code;
}

/* --- removing --- */

struct removal {
    struct os_disk *disk;
    const char *folder;
    const char *suffix; /* only names that end so; "" for all */
    int depth;
    err_t code;
};

static err_t remove_folder(struct os_disk *disk, const char *path, int depth);

static void
remove_name(void *context, const char *name)
{
    struct removal *removal = context;
    char path[OS_PATH_SIZE];
    if (removal->code != ERR_OK ||
        !span_ends_with(span_from_cstr(name), span_from_cstr(removal->suffix))) {
        return;
    }
    int length = snprintf(path, sizeof(path), "%s/%s", removal->folder, name);
    if (length <= 0 || length >= OS_PATH_SIZE) {
        removal->code = ERR_RANGE;
        return;
    }
    if (removal->disk->ops->remove(removal->disk, path) != ERR_OK) {
        removal->code = removal->depth > 0 ? remove_folder(removal->disk, path, removal->depth - 1)
                                           : ERR_EXISTS;
    }
}

static err_t
remove_folder(struct os_disk *disk, const char *path, int depth)
{
    struct removal removal = {.disk = disk, .folder = path, .suffix = "", .depth = depth};
    TRY(disk->ops->list(disk, path, remove_name, &removal));
    TRY(removal.code);
    return os_folder_remove(path);
}

err_t
backup_folder_remove(struct os_disk *disk, const char *path)
{
    return remove_folder(disk, path, REMOVE_DEPTH_MAX);
}

err_t
backup_folder_clean(struct os_disk *disk, const char *points)
{
    struct removal removal = {
        .disk = disk, .folder = points, .suffix = BACKUP_UNFINISHED, .depth = REMOVE_DEPTH_MAX};
    TRY(disk->ops->list(disk, points, remove_name, &removal));
    return removal.code;
}

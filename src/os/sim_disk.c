/* The operations of the simulated disk. Each takes the lock, asks what becomes of it, and does it.
 */
#include "os/sim_disk.h"

#include "base/assert.h"
#include "base/list.h"
#include "names.h"
#include "sim_parts.h"

#include <stdlib.h>
#include <string.h>

struct os_file {
    struct os_sim_inode *inode;
    uint64_t generation; /* the disk's when it was opened */
    bool writable;
    bool direct;
    char path[]; /* normal, as opened; for rules */
};

static struct os_sim_disk *
lock(struct os_disk *disk)
{
    struct os_sim_disk *sim = CONTAINER_OF(disk, struct os_sim_disk, disk);
    int result = pthread_mutex_lock(&sim->lock);
    ASSERT(result == 0);
    return sim;
}

/* Passes the result through. */
static err_t
unlock(struct os_sim_disk *sim, err_t result)
{
    int unlocked = pthread_mutex_unlock(&sim->lock);
    ASSERT(unlocked == 0);
    return result;
}

static err_t
create_file(struct os_sim_disk *sim, const char *path, struct os_sim_inode **ret_inode)
{
    struct os_sim_verdict verdict = os_sim_judge(sim, OS_SIM_OPEN, path);
    if (!verdict.perform) {
        return verdict.code;
    }
    char folder[OS_PATH_SIZE];
    os_sim_path_folder(path, folder);
    if (!os_sim_tree_has_folder(&sim->now, folder)) {
        return ERR_NOT_FOUND;
    }
    if (os_sim_tree_find(&sim->now, path) != NULL) {
        return ERR_EXISTS;
    }
    struct os_sim_inode *inode = os_sim_inode_create(false);
    if (inode == NULL) {
        return ERR_MEMORY;
    }
    os_sim_inode_ref(inode); /* so that a failure below does not lose it */
    err_t result = os_sim_names_change(sim, NULL, path, inode);
    os_sim_inode_unref(sim, inode);
    TRY(result);
    *ret_inode = inode;
    return verdict.code;
}

static err_t
find_file(struct os_sim_disk *sim, const char *path, struct os_sim_inode **ret_inode)
{
    if (sim->stopped) {
        return ERR_IO;
    }
    struct os_sim_inode *inode = os_sim_tree_find(&sim->now, path);
    if (inode == NULL) {
        return os_sim_tree_has_folder(&sim->now, path) ? ERR_INVALID : ERR_NOT_FOUND;
    }
    if (inode->folder) {
        return ERR_INVALID;
    }
    *ret_inode = inode;
    return ERR_OK;
}

static err_t
open_file(
    struct os_sim_disk *sim,
    const char *path,
    enum os_open_mode mode,
    bool direct,
    struct os_file **ret_file)
{
    struct os_file *file = malloc(sizeof(*file) + strlen(path) + 1);
    if (file == NULL) {
        return ERR_MEMORY;
    }
    struct os_sim_inode *inode = NULL;
    err_t result =
        mode == OS_OPEN_CREATE ? create_file(sim, path, &inode) : find_file(sim, path, &inode);
    if (result != ERR_OK) {
        free(file);
        return result;
    }
    ASSERT(inode != NULL);
    file->inode = inode;
    file->generation = sim->generation;
    file->writable = mode != OS_OPEN_READ;
    file->direct = direct;
    memcpy(file->path, path, strlen(path) + 1);
    os_sim_inode_ref(inode);
    sim->open_count++;
    *ret_file = file;
    return ERR_OK;
}

static err_t
sim_open(
    struct os_disk *disk,
    const char *path,
    enum os_open_mode mode,
    bool direct,
    struct os_file **ret_file,
    bool *ret_direct)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_sim_disk *sim = lock(disk);
    direct = direct && !sim->no_direct;
    err_t result = open_file(sim, normal, mode, direct, ret_file);
    if (result == ERR_OK && ret_direct != NULL) {
        *ret_direct = direct;
    }
    return unlock(sim, result);
}

static void
sim_close(struct os_disk *disk, struct os_file *file)
{
    if (file == NULL) {
        return;
    }
    struct os_sim_disk *sim = lock(disk);
    ASSERT(sim->open_count > 0);
    sim->open_count--;
    if (file->inode->locker == file) {
        file->inode->locker = NULL;
    }
    os_sim_inode_unref(sim, file->inode);
    (void)unlock(sim, ERR_OK);
    free(file);
}

static void
check_range(const struct os_file *file, const void *memory, size_t size, uint64_t offset)
{
    ASSERT(offset <= INT64_MAX && size <= (uint64_t)INT64_MAX - offset);
    if (file->direct) {
        ASSERT((uintptr_t)memory % OS_DIRECT_ALIGNMENT == 0);
        ASSERT(size % OS_DIRECT_ALIGNMENT == 0);
        ASSERT(offset % OS_DIRECT_ALIGNMENT == 0);
    }
}

/* A file of a process that a crash ended does nothing more. */
static struct os_sim_verdict
judge_file(struct os_sim_disk *sim, enum os_sim_operation operation, const struct os_file *file)
{
    if (file->generation != sim->generation) {
        return (struct os_sim_verdict){.code = ERR_IO};
    }
    return os_sim_judge(sim, operation, file->path);
}

static err_t
sim_read(struct os_disk *disk, struct os_file *file, void *out, size_t size, uint64_t offset)
{
    check_range(file, out, size, offset);
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = judge_file(sim, OS_SIM_READ, file);
    if (!verdict.perform) {
        return unlock(sim, verdict.code);
    }
    const struct os_sim_image *image = &file->inode->now;
    if (offset > image->size || size > image->size - offset) {
        return unlock(sim, ERR_INCOMPLETE);
    }
    os_sim_image_read(image, out, size, offset);
    return unlock(sim, ERR_OK);
}

/* The bytes that a file may still grow by. */
static uint64_t
room_left(const struct os_sim_disk *sim)
{
    if (sim->capacity == 0) {
        return UINT64_MAX;
    }
    return sim->capacity > sim->used ? sim->capacity - sim->used : 0;
}

/* Where a write that goes astray begins. */
static uint64_t
shifted(uint64_t offset, int64_t shift)
{
    uint64_t distance = shift < 0 ? 0 - (uint64_t)shift : (uint64_t)shift;
    if (shift < 0) {
        return distance < offset ? offset - distance : 0;
    }
    return offset + distance;
}

/* As much as fits; what does not fit is ERR_DISK_FULL. */
static err_t
put(struct os_sim_disk *sim,
    struct os_sim_inode *inode,
    const void *data,
    size_t size,
    uint64_t offset)
{
    uint64_t end = offset + size;
    uint64_t old_size = inode->now.size;
    uint64_t room = room_left(sim);
    uint64_t end_max = OS_SIM_FILE_SIZE_MAX;
    if (room < end_max && old_size < end_max - room) {
        end_max = old_size + room;
    }
    err_t result = ERR_OK;
    if (end > old_size && end > end_max) {
        if (offset >= end_max) {
            return ERR_DISK_FULL;
        }
        size = (size_t)(end_max - offset);
        result = ERR_DISK_FULL;
    }
    if (size == 0) {
        return result;
    }
    if (sim->faults) {
        TRY(os_sim_inode_record_write(inode, data, size, offset));
    }
    err_t written = os_sim_image_write(&inode->now, data, size, offset);
    sim->used += inode->now.size - old_size;
    return written != ERR_OK ? written : result;
}

static err_t
sim_write(
    struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset)
{
    ASSERT(file->writable);
    check_range(file, data, size, offset);
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = judge_file(sim, OS_SIM_WRITE, file);
    if (!verdict.perform) {
        return unlock(sim, verdict.code);
    }
    if (verdict.tear && size > 0) {
        size = (size_t)os_prng_below(&sim->prng, size);
        size -= size % OS_SIM_SECTOR_SIZE;
    }
    err_t result = put(sim, file->inode, data, size, shifted(offset, verdict.shift));
    return unlock(sim, result != ERR_OK ? result : verdict.code);
}

static err_t
sim_sync(struct os_disk *disk, struct os_file *file)
{
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = judge_file(sim, OS_SIM_SYNC, file);
    if (verdict.perform) {
        err_t result = os_sim_inode_sync(file->inode);
        return unlock(sim, result != ERR_OK ? result : verdict.code);
    }
    if (file->generation == sim->generation && !sim->stopped) {
        os_sim_inode_settle(file->inode, &sim->prng);
        file->inode->diverged = true;
    }
    return unlock(sim, verdict.code);
}

static err_t
resize(struct os_sim_disk *sim, struct os_sim_inode *inode, uint64_t size)
{
    uint64_t old_size = inode->now.size;
    if (size == old_size) {
        return ERR_OK;
    }
    if (size > old_size && (size - old_size > room_left(sim) || size > OS_SIM_FILE_SIZE_MAX)) {
        return ERR_DISK_FULL;
    }
    if (sim->faults) {
        TRY(os_sim_inode_record_resize(inode, size));
    }
    os_sim_image_resize(&inode->now, size);
    sim->used += size;
    sim->used -= old_size;
    return ERR_OK;
}

static err_t
sim_allocate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    ASSERT(file->writable);
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = judge_file(sim, OS_SIM_ALLOCATE, file);
    if (!verdict.perform) {
        return unlock(sim, verdict.code);
    }
    err_t result = size > file->inode->now.size ? resize(sim, file->inode, size) : ERR_OK;
    return unlock(sim, result != ERR_OK ? result : verdict.code);
}

static err_t
sim_truncate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    ASSERT(file->writable);
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = judge_file(sim, OS_SIM_TRUNCATE, file);
    if (!verdict.perform) {
        return unlock(sim, verdict.code);
    }
    err_t result = resize(sim, file->inode, size);
    return unlock(sim, result != ERR_OK ? result : verdict.code);
}

static err_t
sim_size(struct os_disk *disk, struct os_file *file, uint64_t *ret_size)
{
    struct os_sim_disk *sim = lock(disk);
    if (file->generation != sim->generation || sim->stopped) {
        return unlock(sim, ERR_IO);
    }
    *ret_size = file->inode->now.size;
    return unlock(sim, ERR_OK);
}

/* A file under this normal path, not a folder. */
static err_t
find_for_change(struct os_sim_disk *sim, const char *path, struct os_sim_inode **ret_inode)
{
    struct os_sim_inode *inode = os_sim_tree_find(&sim->now, path);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    if (inode->folder) {
        return ERR_INVALID;
    }
    *ret_inode = inode;
    return ERR_OK;
}

static err_t
rename_locked(struct os_sim_disk *sim, const char *from, const char *to)
{
    struct os_sim_verdict verdict = os_sim_judge(sim, OS_SIM_RENAME, from);
    if (!verdict.perform) {
        return verdict.code;
    }
    char from_folder[OS_PATH_SIZE];
    char to_folder[OS_PATH_SIZE];
    os_sim_path_folder(from, from_folder);
    os_sim_path_folder(to, to_folder);
    if (strcmp(from_folder, to_folder) != 0) {
        return ERR_UNSUPPORTED;
    }
    struct os_sim_inode *inode;
    struct os_sim_inode *replaced;
    TRY(find_for_change(sim, from, &inode));
    if (find_for_change(sim, to, &replaced) == ERR_INVALID) {
        return ERR_INVALID;
    }
    if (strcmp(from, to) != 0) {
        TRY(os_sim_names_change(sim, from, to, inode));
    }
    return verdict.code;
}

static err_t
sim_rename(struct os_disk *disk, const char *from, const char *to)
{
    char normal_from[OS_PATH_SIZE];
    char normal_to[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(from, normal_from));
    TRY(os_sim_path_normalize(to, normal_to));
    struct os_sim_disk *sim = lock(disk);
    return unlock(sim, rename_locked(sim, normal_from, normal_to));
}

static err_t
remove_locked(struct os_sim_disk *sim, const char *path)
{
    struct os_sim_verdict verdict = os_sim_judge(sim, OS_SIM_REMOVE, path);
    if (!verdict.perform) {
        return verdict.code;
    }
    struct os_sim_inode *inode;
    TRY(find_for_change(sim, path, &inode));
    TRY(os_sim_names_change(sim, path, NULL, NULL));
    return verdict.code;
}

static err_t
sim_remove(struct os_disk *disk, const char *path)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_sim_disk *sim = lock(disk);
    return unlock(sim, remove_locked(sim, normal));
}

static err_t
make_folder_locked(struct os_sim_disk *sim, const char *path)
{
    struct os_sim_verdict verdict = os_sim_judge(sim, OS_SIM_MAKE_FOLDER, path);
    if (!verdict.perform) {
        return verdict.code;
    }
    if (os_sim_tree_has_folder(&sim->now, path)) {
        return verdict.code;
    }
    if (os_sim_tree_find(&sim->now, path) != NULL) {
        return ERR_EXISTS;
    }
    char parent[OS_PATH_SIZE];
    os_sim_path_folder(path, parent);
    if (!os_sim_tree_has_folder(&sim->now, parent)) {
        return ERR_NOT_FOUND;
    }
    struct os_sim_inode *inode = os_sim_inode_create(true);
    if (inode == NULL) {
        return ERR_MEMORY;
    }
    os_sim_inode_ref(inode);
    err_t result = os_sim_names_change(sim, NULL, path, inode);
    os_sim_inode_unref(sim, inode);
    return result != ERR_OK ? result : verdict.code;
}

static err_t
sim_make_folder(struct os_disk *disk, const char *path)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_sim_disk *sim = lock(disk);
    return unlock(sim, make_folder_locked(sim, normal));
}

static err_t
sim_sync_folder(struct os_disk *disk, const char *path)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_sim_disk *sim = lock(disk);
    struct os_sim_verdict verdict = os_sim_judge(sim, OS_SIM_SYNC_FOLDER, normal);
    if (!verdict.perform) {
        return unlock(sim, verdict.code);
    }
    if (!os_sim_tree_has_folder(&sim->now, normal)) {
        return unlock(sim, ERR_NOT_FOUND);
    }
    os_sim_names_sync(sim, normal);
    return unlock(sim, verdict.code);
}

static err_t
collect_names(const struct os_sim_disk *sim, const char *path, struct os_names *names)
{
    if (sim->stopped) {
        return ERR_IO;
    }
    if (!os_sim_tree_has_folder(&sim->now, path)) {
        return ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < sim->now.count; i++) {
        const char *entry = sim->now.entries[i].path;
        char folder[OS_PATH_SIZE];
        os_sim_path_folder(entry, folder);
        if (strcmp(folder, path) == 0) {
            const char *slash = strrchr(entry, '/');
            TRY(os_names_add(names, slash != NULL ? slash + 1 : entry));
        }
    }
    return ERR_OK;
}

static err_t
sim_list(
    struct os_disk *disk,
    const char *path,
    void (*each)(void *context, const char *name),
    void *context)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_names names = {0};
    struct os_sim_disk *sim = lock(disk);
    err_t result = unlock(sim, collect_names(sim, normal, &names));
    if (result == ERR_OK) {
        os_names_sort(&names);
        os_names_each(&names, each, context);
    }
    os_names_release(&names);
    return result;
}

static err_t
sim_lock(struct os_disk *disk, struct os_file *file)
{
    struct os_sim_disk *sim = lock(disk);
    if (file->generation != sim->generation || sim->stopped) {
        return unlock(sim, ERR_IO);
    }
    if (file->inode->locker != NULL && file->inode->locker != file) {
        return unlock(sim, ERR_LOCKED);
    }
    file->inode->locker = file;
    return unlock(sim, ERR_OK);
}

static const struct os_disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .size = sim_size,
    .rename = sim_rename,
    .remove = sim_remove,
    .make_folder = sim_make_folder,
    .sync_folder = sim_sync_folder,
    .list = sim_list,
    .lock = sim_lock,
};

err_t
os_sim_disk_create(const struct os_sim_disk_settings *settings, struct os_sim_disk **ret_sim)
{
    struct os_sim_disk *sim = calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return ERR_MEMORY;
    }
    if (pthread_mutex_init(&sim->lock, NULL) != 0) {
        free(sim);
        return ERR_MEMORY;
    }
    sim->disk.ops = &sim_ops;
    sim->faults = settings->faults;
    sim->no_direct = settings->no_direct;
    sim->capacity = settings->capacity;
    os_prng_seed(&sim->prng, settings->seed);
    *ret_sim = sim;
    return ERR_OK;
}

void
os_sim_disk_destroy(struct os_sim_disk **sim)
{
    if (*sim == NULL) {
        return;
    }
    ASSERT((*sim)->open_count == 0);
    os_sim_names_release(*sim);
    ASSERT((*sim)->used == 0);
    (void)pthread_mutex_destroy(&(*sim)->lock);
    free(*sim);
    *sim = NULL;
}

struct os_disk *
os_sim_disk_ops(struct os_sim_disk *sim)
{
    return &sim->disk;
}

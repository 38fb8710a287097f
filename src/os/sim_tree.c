/* The names of the simulated disk: what is there now, what is durable, and the changes between. */
#include "base/assert.h"
#include "sim_parts.h"

#include <stdlib.h>
#include <string.h>

err_t
os_sim_path_normalize(const char *path, char *out)
{
    size_t size = 0;
    if (path[0] == '/') {
        out[size++] = '/';
    }
    while (*path != '\0') {
        size_t part = strcspn(path, "/");
        bool empty = part == 0 || (part == 1 && path[0] == '.');
        if (!empty) {
            if (size + part + 2 > OS_PATH_SIZE) {
                return ERR_RANGE;
            }
            if (size > 0 && out[size - 1] != '/') {
                out[size++] = '/';
            }
            memcpy(out + size, path, part);
            size += part;
        }
        path += part;
        path += *path == '/' ? 1 : 0;
    }
    if (size == 0) {
        out[size++] = '.';
    }
    out[size] = '\0';
    return ERR_OK;
}

void
os_sim_path_folder(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        memcpy(out, ".", 2);
        return;
    }
    size_t size = slash == path ? 1 : (size_t)(slash - path);
    ASSERT(size < OS_PATH_SIZE);
    memcpy(out, path, size);
    out[size] = '\0';
}

/* The place of the path, or where it would be. */
static size_t
position(const struct os_sim_tree *tree, const char *path, bool *ret_found)
{
    size_t low = 0;
    size_t high = tree->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(tree->entries[middle].path, path);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

struct os_sim_inode *
os_sim_tree_find(const struct os_sim_tree *tree, const char *path)
{
    bool found;
    size_t at = position(tree, path, &found);
    return found ? tree->entries[at].inode : NULL;
}

bool
os_sim_tree_has_folder(const struct os_sim_tree *tree, const char *path)
{
    if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0) {
        return true;
    }
    const struct os_sim_inode *inode = os_sim_tree_find(tree, path);
    return inode != NULL && inode->folder;
}

void
os_sim_inode_ref(struct os_sim_inode *inode)
{
    inode->refs++;
}

void
os_sim_inode_unref(struct os_sim_disk *sim, struct os_sim_inode *inode)
{
    ASSERT(inode->refs > 0);
    inode->refs--;
    if (inode->refs == 0) {
        ASSERT(sim->used >= inode->now.size);
        sim->used -= inode->now.size;
        os_sim_inode_destroy(inode);
    }
}

static void
tree_remove_at(struct os_sim_disk *sim, struct os_sim_tree *tree, size_t at)
{
    struct os_sim_entry entry = tree->entries[at];
    tree->count--;
    memmove(
        &tree->entries[at], &tree->entries[at + 1], (tree->count - at) * sizeof(tree->entries[0]));
    free(entry.path);
    os_sim_inode_unref(sim, entry.inode);
}

static void
tree_remove(struct os_sim_disk *sim, struct os_sim_tree *tree, const char *path)
{
    bool found;
    size_t at = position(tree, path, &found);
    if (found) {
        tree_remove_at(sim, tree, at);
    }
}

static err_t
tree_set(
    struct os_sim_disk *sim, struct os_sim_tree *tree, const char *path, struct os_sim_inode *inode)
{
    bool found;
    size_t at = position(tree, path, &found);
    if (found) {
        os_sim_inode_ref(inode);
        os_sim_inode_unref(sim, tree->entries[at].inode);
        tree->entries[at].inode = inode;
        return ERR_OK;
    }
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity != 0 ? tree->capacity * 2 : 16;
        struct os_sim_entry *entries = realloc(tree->entries, capacity * sizeof(*entries));
        if (entries == NULL) {
            return ERR_MEMORY;
        }
        tree->entries = entries;
        tree->capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    memmove(
        &tree->entries[at + 1], &tree->entries[at], (tree->count - at) * sizeof(tree->entries[0]));
    tree->entries[at] = (struct os_sim_entry){.path = copy, .inode = inode};
    tree->count++;
    os_sim_inode_ref(inode);
    return ERR_OK;
}

static void
tree_release(struct os_sim_disk *sim, struct os_sim_tree *tree)
{
    while (tree->count > 0) {
        tree_remove_at(sim, tree, tree->count - 1);
    }
    free(tree->entries);
    *tree = (struct os_sim_tree){0};
}

static void
name_change_release(struct os_sim_disk *sim, struct os_sim_name_change *change)
{
    free(change->folder);
    free(change->removed);
    free(change->set);
    if (change->inode != NULL) {
        os_sim_inode_unref(sim, change->inode);
    }
}

static err_t
record(struct os_sim_disk *sim, const char *removed, const char *set, struct os_sim_inode *inode)
{
    if (sim->name_change_count == sim->name_change_capacity) {
        size_t capacity = sim->name_change_capacity != 0 ? sim->name_change_capacity * 2 : 16;
        struct os_sim_name_change *changes =
            realloc(sim->name_changes, capacity * sizeof(*changes));
        if (changes == NULL) {
            return ERR_MEMORY;
        }
        sim->name_changes = changes;
        sim->name_change_capacity = capacity;
    }
    char folder[OS_PATH_SIZE];
    os_sim_path_folder(set != NULL ? set : removed, folder);
    struct os_sim_name_change change = {
        .folder = strdup(folder),
        .removed = removed != NULL ? strdup(removed) : NULL,
        .set = set != NULL ? strdup(set) : NULL,
    };
    if (change.folder == NULL || (removed != NULL && change.removed == NULL) ||
        (set != NULL && change.set == NULL)) {
        name_change_release(sim, &change);
        return ERR_MEMORY;
    }
    if (set != NULL) {
        change.inode = inode;
        os_sim_inode_ref(inode);
    }
    sim->name_changes[sim->name_change_count++] = change;
    return ERR_OK;
}

err_t
os_sim_names_change(
    struct os_sim_disk *sim, const char *removed, const char *set, struct os_sim_inode *inode)
{
    ASSERT(removed != NULL || set != NULL);
    ASSERT(set == NULL || inode != NULL);
    if (sim->faults) {
        TRY(record(sim, removed, set, inode));
    }
    if (set != NULL) {
        TRY(tree_set(sim, &sim->now, set, inode));
    }
    if (removed != NULL) {
        tree_remove(sim, &sim->now, removed);
    }
    return ERR_OK;
}

static void
make_durable(struct os_sim_disk *sim, const struct os_sim_name_change *change)
{
    if (change->set != NULL) {
        /* An earlier rename may be lost: a file still has one name only. */
        for (size_t i = sim->durable.count; i > 0; i--) {
            if (sim->durable.entries[i - 1].inode == change->inode) {
                tree_remove_at(sim, &sim->durable, i - 1);
            }
        }
        err_t result = tree_set(sim, &sim->durable, change->set, change->inode);
        ASSERT(result == ERR_OK);
    }
    if (change->removed != NULL) {
        tree_remove(sim, &sim->durable, change->removed);
    }
}

void
os_sim_names_sync(struct os_sim_disk *sim, const char *folder)
{
    size_t left = 0;
    for (size_t i = 0; i < sim->name_change_count; i++) {
        struct os_sim_name_change change = sim->name_changes[i];
        if (strcmp(change.folder, folder) == 0) {
            make_durable(sim, &change);
            name_change_release(sim, &change);
        } else {
            sim->name_changes[left++] = change;
        }
    }
    sim->name_change_count = left;
}

/* What is in a folder that is not there is not there either. */
static void
drop_orphans(struct os_sim_disk *sim)
{
    for (size_t i = 0; i < sim->durable.count;) {
        char folder[OS_PATH_SIZE];
        os_sim_path_folder(sim->durable.entries[i].path, folder);
        if (os_sim_tree_has_folder(&sim->durable, folder)) {
            i++;
        } else {
            tree_remove_at(sim, &sim->durable, i);
        }
    }
}

enum keep {
    KEEP_ALL,
    KEEP_NONE,
    KEEP_FIRST,
    KEEP_SOME,
    KEEP_COUNT,
};

void
os_sim_names_settle(struct os_sim_disk *sim)
{
    size_t count = sim->name_change_count;
    enum keep keep = (enum keep)os_prng_below(&sim->prng, KEEP_COUNT);
    size_t first = (size_t)os_prng_below(&sim->prng, count + 1);
    for (size_t i = 0; i < count; i++) {
        bool survives = keep == KEEP_ALL || (keep == KEEP_FIRST && i < first) ||
                        (keep == KEEP_SOME && os_prng_chance(&sim->prng, 1, 2));
        if (survives) {
            make_durable(sim, &sim->name_changes[i]);
        }
    }
    drop_orphans(sim);
    tree_release(sim, &sim->now);
    for (size_t i = 0; i < sim->durable.count; i++) {
        const struct os_sim_entry *entry = &sim->durable.entries[i];
        err_t result = tree_set(sim, &sim->now, entry->path, entry->inode);
        ASSERT(result == ERR_OK);
    }
    for (size_t i = 0; i < count; i++) {
        name_change_release(sim, &sim->name_changes[i]);
    }
    sim->name_change_count = 0;
}

void
os_sim_names_release(struct os_sim_disk *sim)
{
    for (size_t i = 0; i < sim->name_change_count; i++) {
        name_change_release(sim, &sim->name_changes[i]);
    }
    free(sim->name_changes);
    sim->name_changes = NULL;
    sim->name_change_count = 0;
    tree_release(sim, &sim->now);
    tree_release(sim, &sim->durable);
}

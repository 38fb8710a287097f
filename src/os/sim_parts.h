/*
 * What the files of the simulated disk share: sim_file.c (one file and its unsynced changes),
 * sim_tree.c (names and their unsynced changes), sim_fault.c (rules, stops, crashes), sim_disk.c
 * (the operations). The disk's lock is held in every function here.
 */
#ifndef OS_SIM_PARTS_H
#define OS_SIM_PARTS_H

#include "os/prng.h"
#include "os/sim_disk.h"
#include "sim_image.h"

#include <pthread.h>

/* ---- Files (sim_file.c) ---- */

/* A write or a change of size since the last sync, in the order they happened. */
struct os_sim_change {
    char *data; /* NULL: only the size changed */
    size_t size;
    uint64_t offset;
    uint64_t size_after; /* of the file */
    bool shrinks;
};

struct os_sim_inode {
    unsigned refs; /* names, unsynced changes of names, open files */
    bool folder;
    bool diverged; /* `now` has what a failed sync forgot */
    struct os_sim_image now;
    struct os_sim_image durable;   /* only with faults */
    struct os_sim_change *changes; /* durable + changes = now, unless diverged */
    size_t change_count;
    size_t change_capacity;
    const struct os_file *locker; /* or NULL */
};

struct os_sim_inode *os_sim_inode_create(bool folder);
void os_sim_inode_destroy(struct os_sim_inode *inode);
/* Call before `now` changes. */
MUST_USE err_t os_sim_inode_record_write(
    struct os_sim_inode *inode, const void *data, size_t size, uint64_t offset);
MUST_USE err_t os_sim_inode_record_resize(struct os_sim_inode *inode, uint64_t size);
/* Makes the changes durable. */
MUST_USE err_t os_sim_inode_sync(struct os_sim_inode *inode);
/* Makes a part of the changes durable, drawn from `prng`, and forgets the rest. */
void os_sim_inode_settle(struct os_sim_inode *inode, struct os_prng *prng);

/* ---- Names (sim_tree.c) ---- */

struct os_sim_entry {
    char *path; /* normal */
    struct os_sim_inode *inode;
};

struct os_sim_tree {
    struct os_sim_entry *entries; /* ascending by path: a folder before what is in it */
    size_t count;
    size_t capacity;
};

/* One atomic change of the names in a folder. */
struct os_sim_name_change {
    char *folder;
    char *removed; /* or NULL */
    char *set;     /* or NULL */
    struct os_sim_inode *inode;
};

/* Without empty and "." parts and without a slash at the end; the empty path is ".". `out` has
 * OS_PATH_SIZE bytes. ERR_RANGE if it does not fit. */
MUST_USE err_t os_sim_path_normalize(const char *path, char *out);
/* The folder that a normal path is in. `out` has OS_PATH_SIZE bytes. */
void os_sim_path_folder(const char *path, char *out);
/* NULL if it is not there. */
struct os_sim_inode *os_sim_tree_find(const struct os_sim_tree *tree, const char *path);
bool os_sim_tree_has_folder(const struct os_sim_tree *tree, const char *path);

struct os_sim_disk {
    struct os_disk disk;
    pthread_mutex_t lock;
    struct os_prng prng;
    bool faults;
    bool no_direct;
    uint64_t capacity; /* 0: no limit */
    uint64_t used;     /* bytes of all files */
    struct os_sim_tree now;
    struct os_sim_tree durable;              /* only with faults */
    struct os_sim_name_change *name_changes; /* since the syncs of their folders, in order */
    size_t name_change_count;
    size_t name_change_capacity;
    uint64_t operations;
    uint64_t stop_at;
    bool stopped;
    uint64_t generation; /* of open files: one more after each crash */
    size_t open_count;

    struct {
        struct os_sim_rule rule;
        char path_part[OS_SIM_RULE_PATH_SIZE];
        uint64_t matched;
    } rules[OS_SIM_RULES_MAX];

    size_t rule_count;
};

void os_sim_inode_ref(struct os_sim_inode *inode);
/* Destroys it with the last reference. */
void os_sim_inode_unref(struct os_sim_disk *sim, struct os_sim_inode *inode);
/* Takes the name `removed` away and gives `set` to the inode (each may be NULL). */
MUST_USE err_t os_sim_names_change(
    struct os_sim_disk *sim, const char *removed, const char *set, struct os_sim_inode *inode);
void os_sim_names_sync(struct os_sim_disk *sim, const char *folder);
/* Makes a part of the changes durable, drawn from the disk's seed; what is durable is all there
 * is from now on. */
void os_sim_names_settle(struct os_sim_disk *sim);
void os_sim_names_release(struct os_sim_disk *sim);

/* ---- What becomes of an operation (sim_fault.c) ---- */

struct os_sim_verdict {
    bool perform;
    bool tear;     /* a write: only some first bytes */
    int64_t shift; /* a write: so many bytes further */
    err_t code;    /* to answer, whether performed or not, unless performing failed */
};

struct os_sim_verdict os_sim_judge(
    struct os_sim_disk *sim, enum os_sim_operation operation, const char *path);

#endif

/*
 * Copies of rows that several processes share, and what they tell one another about them.
 *
 * The other side may be gone at any time, slow, or full of what others put there. So: nothing waits
 * for it longer than a stated time; whatever it answers is checked by who asked; and that a word
 * was lost is allowed for by lifetimes. `src/redis` implements it.
 *
 * A process stores a copy only with a lease, which it got for a key of which nothing was stored.
 * Whoever changes the row takes it away. So a reader that was overtaken stores nothing, whatever
 * was forgotten in between:
 *
 *     reader                            writer                     there
 *     ask ----------------------------------------------------->   nothing: a lease
 *     reads version 1 from the database
 *                                       commits version 2
 *                                       forget(2) ------------->   "not below 2", no lease
 *     store(lease, version 1) --------------------------------->   refused
 *
 * Threads: every call from one loop, that of the `user`; what comes back is posted there (PORT-2).
 */
#ifndef PORT_CACHE_H
#define PORT_CACHE_H

#include "base/span.h"
#include "cache/cache.h"
#include "os/loop.h"

#include <stdbool.h>

/* Larger ones are not kept. */
#define PORT_CACHE_VALUE_MAX 16384

enum port_cache_answer {
    PORT_CACHE_FOUND,  /* `version`, and `size` bytes of `value` */
    PORT_CACHE_LEASED, /* nothing is there, and who asked may store it with `lease` */
    PORT_CACHE_TAKEN,  /* nothing is there, and somebody else has the lease */
    PORT_CACHE_LOST,   /* no answer in time, or none that can be read */
};

/* A question; the asker's memory until `done` ran on its loop. */
struct port_cache_ask {
    struct os_task task;
    void (*done)(struct port_cache_ask *ask);
    struct port_cache *cache; /* set by the cache */
    struct cache_key key;
    uint64_t life_ms; /* of the lease, if it gets one: that of the value which it is for */

    enum port_cache_answer answer;
    uint64_t version;
    uint64_t lease;
    size_t size;
    uint8_t value[PORT_CACHE_VALUE_MAX];
};

/* Whoever uses the cache; calls come on its loop. */
struct port_cache_user {
    struct os_executor *executor;
    /* Another process has committed this version of the row; CACHE_VERSION_NONE: it is to be
     * forgotten, whatever its version. */
    void (*forget)(struct port_cache_user *user, const struct cache_key *key, uint64_t version);
    /* Whether what others tell arrives. Called at each change, and if some of it was lost: what
     * is known so far may be wrong. Until the first call it does not. */
    void (*hears)(struct port_cache_user *user, bool hears);
};

struct port_cache {
    /* Before any other call; once. */
    void (*use)(struct port_cache *cache, struct port_cache_user *user);
    void (*ask)(struct port_cache *cache, struct port_cache_ask *ask);
    /* The value is copied. For `life_ms`; refused in silence without the lease, or if a newer
     * version was told of. */
    void (*store)(
        struct port_cache *cache,
        const struct cache_key *key,
        uint64_t lease,
        uint64_t version,
        struct span value,
        uint64_t life_ms);
    /* Tells everybody, and forgets what is older; it is remembered for `life_ms`, which is at least
     * the lifetime of what may be on its way. CACHE_VERSION_NONE: whatever its version. */
    void (*forget)(
        struct port_cache *cache, const struct cache_key *key, uint64_t version, uint64_t life_ms);
};

#endif

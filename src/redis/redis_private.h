/* What the files of the client share. redis.h says what it is for. */
#ifndef REDIS_PRIVATE_H
#define REDIS_PRIVATE_H

#include "link.h"

#include <semaphore.h>
#include <stdatomic.h>

#define REDIS_PREFIX_SIZE  64
#define REDIS_SCRIPT_COUNT 3

struct redis_question;

struct redis {
    struct port_cache port;
    struct port_cache_user *user;
    struct redis_parts parts;
    struct redis_url url;
    char prefix[REDIS_PREFIX_SIZE];
    char channel[REDIS_PREFIX_SIZE + 8];
    struct os_task start_task;
    struct os_task stop_task;
    sem_t stopped;
    bool started;
    _Atomic bool ended;           /* nothing is posted to the loop of sockets any more */
    atomic_uint_fast32_t waiting; /* notes and things heard, on their way */
    _Atomic bool connected;

    /* Loop of sockets. */
    struct redis_link commands;
    struct redis_link ears;
    char scripts[REDIS_SCRIPT_COUNT][41];
    uint32_t loaded;
    bool was_lost; /* and that was logged */
    struct redis_question *first;
    struct redis_question *last;
    struct net_timer deadline; /* of the oldest question */
    struct net_timer beat;
    uint64_t heard_ns;

    /* To the user's loop. */
    _Atomic bool hears;
    _Atomic bool state_posted;
    struct os_task state_task;
};

/* --- commands.c: questions, storing, telling --- */
void redis_commands_init(struct redis *redis);
/* Whether the connection is there and the scripts are loaded. Loop of sockets. */
MUST_USE bool redis_commands_ready(const struct redis *redis);

/* --- hearing.c: what others tell --- */
void redis_hearing_init(struct redis *redis);
/* Loop of sockets; from then on for itself. */
void redis_hearing_beat(struct redis *redis);

/* --- measure.c --- */
void redis_measure_asked(enum port_cache_answer answer);
void redis_measure_stored(bool refused);
void redis_measure_told(void);
void redis_measure_heard(void);
void redis_measure_dropped(void);
void redis_measure_error(void);
void redis_measure_connected(bool connected);

#endif

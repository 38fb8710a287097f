/* Two ledgers that are to be the same, and a third one whose accounts come to them: twin_test.c. */
#ifndef ENGINE_TWIN_TESTING_H
#define ENGINE_TWIN_TESTING_H

#include "machine_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LEDGER_NUMBER      7
#define SECOND_NS          UINT64_C(1000000000)
#define GUESTS             12u /* accounts of the source; number % SETS is the set that moves together */
#define SETS               3u
#define OWN                4u
#define OWN_ID             1000u
#define BATCH              6u
#define SPANS              5u
#define T_TWINS_EVENTS_MAX 8190u
#define T_TWINS_FAILED_MAX 2000u

enum {
    SOURCE,
    ONE,
    OTHER,
    LEDGERS,
};

struct t_twins {
    uint64_t seed;
    struct ledger_random random;
    struct os_sim_disk *disk;
    struct os_executor executor;
    struct engine_machine machines[LEDGERS];
    char urls[LEDGERS][512];
    struct port_ledger_guard guard;
    bool hides;
    bool commits;     /* some groups are several requests */
    uint32_t moved;   /* sets of guests that the twins have */
    u128 next_id;     /* of a transfer */
    uint64_t loads;   /* of the twins */
    uint64_t expired; /* events by which pendings ended, at the twins */
    uint64_t halves;  /* events that the twins have twice */
    uint64_t adopted;
    u128 spans[SPANS]; /* holds over two sets */
    uint64_t stale;    /* halves of such that were live at the twins */
    uint64_t twice;    /* of those, both halves at one time */
    uint64_t refused;  /* ends of such that the twins were asked for */

    /* Of the last t_twins_both or t_twins_do. */
    struct ledger_result results[2][LEDGER_BATCH_MAX];
};

#define CHECK(t, condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg(                                                                              \
                "TAEL_TWIN_SEED=%llu, line %d: %s",                                                \
                (unsigned long long)(t)->seed,                                                     \
                __LINE__,                                                                          \
                #condition);                                                                       \
        }                                                                                          \
    } while (0)

/* ---- twin_testing.c */
/* All in journals; with `database`, a URL with a parameter, OTHER in its tables. */
struct t_twins *t_twins_create(uint64_t seed, const char *database);
void t_twins_destroy(struct t_twins *t);
/* Again, after engine_machine_close. */
void t_twins_open(struct t_twins *t, int which);
uint64_t t_twins_below(struct t_twins *t, uint64_t limit);
void t_twins_execute(struct t_twins *t, int which, struct port_ledger_request *request);
/* The twins do the same, and say the same of it. */
void t_twins_both(struct t_twins *t, struct port_ledger_request *request);
/* The source, or both twins. */
void t_twins_do(struct t_twins *t, bool source, struct port_ledger_request *request);
/* All of it is durable. */
void t_twins_commit(struct t_twins *t);
void t_twins_accounts(struct t_twins *t, bool source);
/* Of the source: one that has not moved; of the twins: one that has, or their own. */
u128 t_twins_account(struct t_twins *t, bool source, uint32_t set);
uint32_t t_twins_set(struct t_twins *t, bool source);
/* A batch of transfers. */
void t_twins_work(struct t_twins *t, bool source);
/* Time goes by, and what is due expires. */
void t_twins_tick(struct t_twins *t, bool source);

/* ---- twin_compare_testing.c */
void t_twins_compare(struct t_twins *t);
/* The failed ids of a ledger, read `limit` at a time, in the order in which they came; where to go
 * on is each store's own. At most T_TWINS_FAILED_MAX. */
uint32_t t_twins_failed(
    struct t_twins *t, int which, uint32_t limit, struct port_ledger_failed_id *failed);
/* Both twins are loaded again, with what was noted. */
void t_twins_restart(struct t_twins *t);

#endif

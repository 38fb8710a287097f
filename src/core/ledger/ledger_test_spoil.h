/*
 * For tests of statuses: a world in which every status can be had, and lists of ways to spoil a
 * valid event, one for each status, in the order of precedence. Each is tried alone, and then every
 * two that can be had together (they change different fields): the earlier must win.
 */
#ifndef LEDGER_TEST_SPOIL_H
#define LEDGER_TEST_SPOIL_H

#include "ledger_test_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Accounts of the world. */
enum {
    A = 1,
    B,
    OTHER_LEDGER,
    CLOSED,
    CLOSED_TOO,
    LIMITED_DEBITS,
    LIMITED_CREDITS,
    FULL_DEBITS_PENDING,
    FULL_CREDITS_PENDING,
    FULL_DEBITS_POSTED,
    FULL_CREDITS_POSTED,
    FULL_DEBITS,
    FULL_CREDITS,
    CLOSED_LATER_DEBIT,
    CLOSED_LATER_CREDIT,
    LATE, /* created after every transfer */
    LATE_TOO,
    ABSENT = 90,
};

/* Transfers of the world. */
enum {
    T_LIKE_BASE = 100,
    T_SINGLE,
    T_POSTED,
    T_POST,
    T_VOIDED,
    T_VOID,
    T_EXPIRED,
    T_DUE,
    T_LIVE,
    T_LIVE_OF_CLOSED_DEBIT,
    T_LIVE_OF_CLOSED_CREDIT,
    T_FAILED,
    T_NEW = 500,
};

extern struct t_world t_spoil_world;
/* A timestamp above every event's when it was noted; LATE ones came after. */
extern uint64_t t_spoil_gap;

/* Of every test. */
int t_spoil_set_up(void **state);
int t_spoil_tear_down(void **state);

/* A valid one, pending, between A and B. */
struct ledger_transfer t_base_transfer(void);

struct t_spoiler {
    uint32_t status;
    const char *name;
    void (*spoil)(void *event);
    int group; /* of two in the same non-zero group, only the alone case makes sense */
};

/* Tries them on copies of `base`, which is valid. */
void t_spoil_each_transfer(
    const struct ledger_transfer *base, const struct t_spoiler *spoilers, size_t count);
void t_spoil_each_account(
    const struct ledger_account *base, const struct t_spoiler *spoilers, size_t count);

/* One spoiler: what it does to the event `e`. */
#define SPOIL_TRANSFER(name, code)                                                                 \
    static inline void spoil_##name(void *event)                                                   \
    {                                                                                              \
        struct ledger_transfer *e = event;                                                         \
        code;                                                                                      \
    }
#define ENTRY(status_name, how, group_number)                                                      \
    {                                                                                              \
        LEDGER_TRANSFER_##status_name, #how, spoil_##how, group_number                             \
    }
#define ON(bits)  (e->flags = (uint16_t)(e->flags | (bits)))
#define OFF(bits) (e->flags = (uint16_t)(e->flags & ~(unsigned)(bits)))

/* What can be wrong with a transfer of either phase. */
/* clang-format off */
SPOIL_TRANSFER(chain_open, ON(LEDGER_TRANSFER_LINKED))
SPOIL_TRANSFER(timestamp, e->timestamp = 5)
SPOIL_TRANSFER(out_of_range, e->timestamp = 0)
SPOIL_TRANSFER(advances, e->timestamp = ledger_clock(t_spoil_world.ledger) + 1000)
SPOIL_TRANSFER(reserved_flag, ON(1 << 9))
SPOIL_TRANSFER(id_zero, e->id = 0)
SPOIL_TRANSFER(failed, e->id = T_FAILED)
SPOIL_TRANSFER(regress_transfer, e->timestamp = t_spoil_gap - 10 - 20)
/* clang-format on */

#endif
